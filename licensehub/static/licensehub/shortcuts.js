// Keys for lists and for the page of a request. "?" shows them, and there they can be switched off (WCAG 2.1.4).
"use strict";
(() => {
    // In the language of the page: templates/admin/script_texts.html.
    const KEYS = {j: "keyNext", k: "keyBefore", x: "keySelect", Enter: "keyOpen", a: "keyAction", "/": "keySearch", "Ctrl K": "keyFind", "?": "keyHelp"};
    const STORED = "lh-shortcuts";
    const isOn = () => localStorage.getItem(STORED) !== "off";
    const rows = () => [...document.querySelectorAll("#result_list tr.data-row, #result_list tbody tr, .lh-people tbody tr")].filter((row) => row.offsetParent);
    const isTyping = (target) => target instanceof HTMLElement && (target.isContentEditable || target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select"));
    let chosen = -1;

    function go(step) {
        const all = rows();
        if (!all.length) return;
        all[chosen]?.classList.remove("lh-chosen");
        chosen = Math.min(Math.max(chosen + step, 0), all.length - 1);
        all[chosen].classList.add("lh-chosen");
        (all[chosen].querySelector("a[href]") || all[chosen].querySelector("input, button"))?.focus();
        all[chosen].scrollIntoView({block: "nearest"});
    }

    function select() {
        rows()[chosen]?.querySelector("input[type=checkbox]")?.click();
    }

    // The first one that is there: the act of the selected rows, the decision about a request, else that of the page.
    const MAIN = [".lh-bulk.lh-open .lh-bulk-main", ".lh-decision-bar button:last-of-type", "button.lh-primary", ".lh-button.lh-primary"];

    function toMainAction() {
        MAIN.map((place) => document.querySelector(place)).find(Boolean)?.focus();
    }

    function show() {
        let dialog = document.getElementById("lh-keys");
        if (!dialog) {
            dialog = document.createElement("dialog");
            dialog.id = "lh-keys";
            dialog.setAttribute("aria-labelledby", "lh-keys-title");
            const texts = document.getElementById("lh-texts").dataset;
            const lines = Object.entries(KEYS).map(([key, name]) => `<dt><kbd>${key}</kbd></dt><dd>${texts[name]}</dd>`).join("");
            dialog.innerHTML = `<h2 id="lh-keys-title">${texts.keys}</h2><dl>${lines}</dl><label><input type="checkbox"> ${texts.keysUse}</label>`
                + `<form method="dialog"><button class="lh-button">${texts.close}</button></form>`;
            dialog.querySelector("input").addEventListener("change", (event) => localStorage.setItem(STORED, event.target.checked ? "on" : "off"));
            document.body.append(dialog);
        }
        dialog.querySelector("input").checked = isOn();
        dialog.showModal();
    }

    const ACTIONS = {j: () => go(1), k: () => go(-1), x: select, a: toMainAction, "/": () => document.getElementById("searchbar")?.focus()};
    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
        if (event.key === "?") { event.preventDefault(); show(); return; }
        if (!isOn() || !(event.key in ACTIONS)) return;
        event.preventDefault();
        ACTIONS[event.key]();
    });
    // A list that htmx exchanged has other rows.
    document.addEventListener("htmx:afterSettle", () => { chosen = -1; });
})();
