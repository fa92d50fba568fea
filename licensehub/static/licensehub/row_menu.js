// Opens the menu of a row beside its button. Without this script, the browser shows the menu in the middle of the window.
"use strict";
document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!(menu instanceof HTMLElement) || !menu.matches(".lh-menu-items") || event.newState !== "open") return;
    const button = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
    const fits = button.bottom + menu.offsetHeight + 8 < window.innerHeight;
    menu.style.inset = "auto";
    menu.style.margin = "0";
    menu.style.left = `${Math.max(8, button.right - menu.offsetWidth)}px`;
    menu.style.top = `${fits ? button.bottom + 4 : Math.max(8, button.top - menu.offsetHeight - 4)}px`;
}, true);
