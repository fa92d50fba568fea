// Counts the ticked seats into the button of the candidates' bulk bar. Without it the button works, and counts later.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const bar = document.querySelector(".lh-bulk");
    if (!bar) return;
    const button = bar.querySelector("[data-seats]");
    const across = bar.querySelector("input.select-across");
    const count = () => {
        const ticked = document.querySelectorAll("tr input.action-select:checked").length;
        const seats = across.value === "1" ? Number(bar.dataset.total) : ticked;
        const more = across.value === "1" && "more" in bar.dataset ? "+" : "";
        button.textContent = `Request reclaim of ${seats}${more} seat${seats === 1 ? "" : "s"}`;
        bar.classList.toggle("lh-open", seats > 0);
    };
    // After Django's own actions.js has ticked the boxes and set select_across.
    const later = () => window.setTimeout(count, 0);
    document.addEventListener("change", later);
    document.addEventListener("click", later);
    window.addEventListener("pageshow", later);
});
