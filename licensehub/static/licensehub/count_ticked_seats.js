// Counts the ticked rows into the button of a bulk bar, after the words in its data-seats; data-unit is `seat` or `person|people`. Without it the button works, and counts later.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const bar = document.querySelector(".lh-bulk");
    if (!bar) return;
    const button = bar.querySelector("[data-seats]");
    const across = bar.querySelector("input.select-across");
    const over = bar.querySelector("[data-over]");
    // What the ticked seats cost in a year: the sums of data-cost, a sum for each currency. Empty without a price.
    const money = bar.querySelector("[data-money]");
    const cost = () => {
        const sums = {};
        for (const cell of document.querySelectorAll("tr:has(input.action-select:checked) [data-cost]")) {
            const [amount, currency] = cell.dataset.cost.split(" ");
            sums[currency] = (sums[currency] || 0) + Number(amount);
        }
        const text = ([currency, amount]) => new Intl.NumberFormat("en-US", {
            style: "currency", currency, ...(Number.isInteger(amount) ? { maximumFractionDigits: 0 } : {}),
        }).format(amount);
        const texts = Object.entries(sums).sort().map(text);
        return texts.length ? `${texts.join(" and ")} per year` : "";
    };
    const count = () => {
        const ticked = document.querySelectorAll("tr input.action-select:checked").length;
        const everybody = across.value === "1";
        const seats = everybody ? Number(bar.dataset.total) : ticked;
        const more = everybody && "more" in bar.dataset ? "+" : "";
        const [one, many = `${one}s`] = button.dataset.unit.split("|");
        button.textContent = `${button.dataset.seats} ${seats}${more} ${seats === 1 ? one : many}`;
        bar.classList.toggle("lh-open", seats > 0);
        if (money) {
            // For all rows of the list, the next page shows the amount.
            money.textContent = everybody ? "" : cost();
            money.hidden = !money.textContent;
        }
        if (over) over.hidden = seats <= Number(bar.dataset.cap);
    };
    // After Django's own actions.js has ticked the boxes and set select_across.
    const later = () => window.setTimeout(count, 0);
    document.addEventListener("change", later);
    document.addEventListener("click", later);
    window.addEventListener("pageshow", later);
});
