// The menus of a list: only one is open, Escape closes it, and columns move up and down.
"use strict";
(() => {
    const open = () => document.querySelector(".lh-tool[open]");

    document.addEventListener("toggle", (event) => {
        if (!event.target.matches?.(".lh-tool") || !event.target.open) return;
        for (const other of document.querySelectorAll(".lh-tool[open]")) if (other !== event.target) other.open = false;
    }, true);
    document.addEventListener("click", (event) => {
        const menu = open();
        if (menu && !menu.contains(event.target)) menu.open = false;
        const button = event.target.closest("[data-lh-move]");
        if (!button) return;
        const row = button.closest("li"), up = button.dataset.lhMove === "up";
        const other = up ? row.previousElementSibling : row.nextElementSibling;
        // The first column stays where it is.
        if (!other || other.querySelector("input").disabled) return;
        if (up) other.before(row);
        else other.after(row);
        button.focus();
    });
    document.addEventListener("keydown", (event) => {
        const menu = open();
        if (event.key !== "Escape" || !menu) return;
        menu.open = false;
        menu.querySelector("summary").focus();
    });
})();
