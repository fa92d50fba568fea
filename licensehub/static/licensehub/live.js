// Follows what happens on the server: each element with data-lh-live asks again, until the answer has none or reloads the page.
// It asks seldom while nothing changes, and not at all while the tab is hidden. data-lh-shortest is the shortest wait of an element. Without it the page says that a reload shows more.
"use strict";
(() => {
    const MIN_WAIT = 1000, MAX_WAIT = 60000, SLOWER = 1.5;
    const known = new Map();

    function plan(element) {
        const before = known.get(element.dataset.lhLive);
        const changed = !before || before.text !== element.textContent;
        const shortest = Number(element.dataset.lhShortest) || MIN_WAIT;
        const wait = changed ? shortest : Math.min(MAX_WAIT, before.wait * SLOWER);
        known.set(element.dataset.lhLive, {text: element.textContent, wait});
        element.lhTimer = setTimeout(ask, wait, element);
    }

    function ask(element) {
        if (!element.isConnected) return;
        if (document.hidden) {
            document.addEventListener("visibilitychange", () => ask(element), {once: true});
            return;
        }
        element.lhTimer = null;
        window.htmx.trigger(element, "lh-ask");
    }

    // Also those that an answer has replaced, or that were not answered.
    function follow() {
        for (const element of document.querySelectorAll("[data-lh-live]")) if (!element.lhTimer) plan(element);
    }

    document.addEventListener("DOMContentLoaded", () => {
        follow();
        document.body.addEventListener("htmx:afterRequest", () => setTimeout(follow, 50));
        // Nobody did anything, so it does not keep the session alive.
        document.body.addEventListener("htmx:configRequest", (event) => {
            if (event.detail.triggeringEvent?.type === "lh-ask") event.detail.headers["X-Background"] = "1";
        });
    });
})();
