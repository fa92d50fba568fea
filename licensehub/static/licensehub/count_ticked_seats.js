// Counts the ticked rows into the button of a bulk bar: data-one is its text for one row, data-many for others. Without it the button works, and counts later.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const bar = document.querySelector(".lh-bulk");
    if (!bar) return;
    const button = bar.querySelector("[data-one]");
    const across = bar.querySelector("input.select-across");
    const over = bar.querySelector("[data-over]");
    // What the ticked seats cost in a year: the sums of data-cost, a sum for each currency. Empty without a price.
    const money = bar.querySelector("[data-money]");
    const cost = () => {
        const sums = {}, decimals = {};
        for (const cell of document.querySelectorAll("tr:has(input.action-select:checked) [data-cost]")) {
            const [amount, currency] = cell.dataset.cost.split(" ");
            sums[currency] = (sums[currency] || 0) + Number(amount);
            // The server writes each amount with the decimals of its currency.
            decimals[currency] = amount.split(".")[1]?.length || 0;
        }
        const language = document.documentElement.lang || "en";
        // As other pages write amounts: a whole amount has no decimals.
        const text = ([currency, sum]) => {
            const amount = Number(sum.toFixed(decimals[currency])), digits = Number.isInteger(amount) ? 0 : decimals[currency];
            const shown = { minimumFractionDigits: digits, maximumFractionDigits: digits };
            return new Intl.NumberFormat(language, { style: "currency", currency, ...shown }).format(amount);
        };
        const texts = Object.entries(sums).sort().map(text);
        return texts.length ? money.dataset.money.replace("{amount}", texts.join(money.dataset.and)) : "";
    };
    const count = () => {
        const ticked = document.querySelectorAll("tr input.action-select:checked").length;
        const everybody = across.value === "1";
        const seats = everybody ? Number(bar.dataset.total) : ticked;
        const more = everybody && "more" in bar.dataset ? "+" : "";
        button.textContent = (seats === 1 ? button.dataset.one : button.dataset.many).replace("{count}", `${seats}${more}`);
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
