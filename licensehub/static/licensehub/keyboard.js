// Lets the keyboard reach everything that the mouse reaches. unfold makes some buttons of elements that take no focus.
"use strict";
(() => {
    // In the language of the page: templates/admin/script_texts.html.
    const NAMES = {dock_to_right: "menu", close: "closeMenu", light_mode: "theme", dark_mode: "theme", computer: "theme", expand_more: "more"};
    const textOf = (name) => document.getElementById("lh-texts").dataset[name];
    const ICON = ".material-symbols-outlined";
    const NATIVE = "a[href], button, input, select, textarea, summary, [tabindex]";
    // A click on the area beside the open filters closes them. Escape does this for the keyboard.
    const SKIPPED = "#changelist-filter-close, body, html";

    // A name where the text is nothing but an icon. Otherwise the text is the name.
    function nameOf(element) {
        const icons = element.matches(ICON) ? [element] : [...element.querySelectorAll(ICON)];
        const text = icons.reduce((rest, icon) => rest.replace(icon.textContent.trim(), ""), element.textContent).trim();
        if (text) return "";
        const name = icons.map((icon) => NAMES[icon.textContent.trim()]).find(Boolean);
        return name ? textOf(name) : element.dataset.label || textOf("openMenu");
    }

    function prepare(root) {
        for (const element of root.querySelectorAll("[x-on\\:click], [\\@click]")) {
            if (element.matches(NATIVE) || element.matches(SKIPPED)) continue;
            element.tabIndex = 0;
            // A cell of a table keeps its role, so that the row stays a row. Its icon becomes the button.
            const button = element.matches("td") ? element.querySelector(ICON) || element : element;
            if (button !== element) { element.removeAttribute("tabindex"); button.tabIndex = 0; }
            button.setAttribute("role", "button");
            const name = button === element ? nameOf(element) : element.dataset.label || nameOf(button);
            if (name) button.setAttribute("aria-label", name);
            // The name of an icon is no text for a screen reader.
            for (const icon of button.querySelectorAll(ICON)) icon.setAttribute("aria-hidden", "true");
        }
    }

    function landmarks() {
        const content = document.getElementById("main");
        if (content && !document.querySelector("main, [role=main]:not(.lh-no-script)")) content.setAttribute("role", "main");
        document.getElementById("content")?.setAttribute("tabindex", "-1");
    }

    document.addEventListener("DOMContentLoaded", () => { landmarks(); prepare(document); });
    document.addEventListener("htmx:afterSettle", (event) => prepare(event.target.parentElement || document));
    document.addEventListener("keydown", (event) => {
        if (!["Enter", " "].includes(event.key) || !(event.target instanceof HTMLElement)) return;
        if (!event.target.matches("[role=button]") || event.target.matches(NATIVE.replace(", [tabindex]", ""))) return;
        event.preventDefault();
        event.target.click();
    });
    document.addEventListener("keydown", (event) => {
        const open = document.getElementById("changelist-filter");
        if (event.key === "Escape" && open && open.offsetParent !== null) document.getElementById("changelist-filter-close").click();
    });
})();
