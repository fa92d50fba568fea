// The search over everything. Ctrl+K or its button opens it; arrows choose, Enter opens, Escape closes.
"use strict";
(() => {
    const WAIT = 150;
    let dialog = null, input, results, status, timer, asked = null, chosen = -1;

    const options = () => [...results.querySelectorAll("[role=option]")];

    function choose(place) {
        const all = options();
        all[chosen]?.setAttribute("aria-selected", "false");
        chosen = all.length ? (place + all.length) % all.length : -1;
        if (chosen < 0) { input.removeAttribute("aria-activedescendant"); return; }
        all[chosen].setAttribute("aria-selected", "true");
        all[chosen].scrollIntoView({block: "nearest"});
        input.setAttribute("aria-activedescendant", all[chosen].id);
    }

    // Results of an earlier word must not be opened by Enter.
    function forget() {
        asked?.abort();
        results.replaceChildren();
        choose(-1);
    }

    async function ask() {
        asked?.abort();
        asked = new AbortController();
        try {
            const answer = await fetch(`${dialog.dataset.url}?q=${encodeURIComponent(input.value)}`, {signal: asked.signal});
            // When the session has ended, the answer is the sign-in page.
            if (!answer.ok || answer.redirected) { location.reload(); return; }
            results.innerHTML = await answer.text();
            const count = results.querySelector("[data-lh-find-count]");
            status.textContent = count?.textContent || "";
            count?.remove();
            chosen = -1;
            choose(0);
        } catch (error) {
            if (error.name !== "AbortError") throw error;
        }
    }

    function pressed(event) {
        const moves = {ArrowDown: chosen + 1, ArrowUp: chosen - 1, Home: 0, End: -1};
        if (event.key in moves && !(["Home", "End"].includes(event.key) && input.value)) {
            event.preventDefault();
            choose(moves[event.key]);
        } else if (event.key === "Enter" && options()[chosen]) {
            event.preventDefault();
            const link = options()[chosen];
            if (event.ctrlKey || event.metaKey) window.open(link.href, "_blank", "noopener");
            else location.assign(link.href);
        }
    }

    function make() {
        const template = document.getElementById("lh-find-template");
        if (!template) return false;
        document.body.append(template.content.cloneNode(true));
        dialog = document.getElementById("lh-find");
        input = dialog.querySelector("input");
        results = dialog.querySelector("[role=listbox]");
        status = dialog.querySelector(".lh-find-status");
        input.addEventListener("input", () => { forget(); clearTimeout(timer); timer = setTimeout(ask, WAIT); });
        input.addEventListener("keydown", pressed);
        dialog.querySelector(".lh-find-close").addEventListener("click", () => dialog.close());
        dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
        results.addEventListener("mousemove", (event) => {
            const place = options().indexOf(event.target.closest("[role=option]"));
            if (place >= 0 && place !== chosen) choose(place);
        });
        return true;
    }

    function open() {
        if (!dialog && !make()) return;
        if (dialog.open || document.querySelector("dialog[open]")) return;
        input.value = "";
        forget();
        dialog.showModal();
        input.focus();
        ask();
    }

    document.addEventListener("keydown", (event) => {
        if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
        event.preventDefault();
        open();
    });
    document.addEventListener("click", (event) => { if (event.target.closest?.("[data-lh-find]")) open(); });
})();
