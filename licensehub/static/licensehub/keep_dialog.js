// Reject and Drop: the choice of what follows opens over the page. Without this script it is a page of its own.
// It is that page's form, so both have the same fields, sentences and checks.
"use strict";
(() => {
    const OPENS = "button.lh-reject, button.lh-remove:not(.lh-come-back)";

    document.addEventListener("submit", (event) => {
        const button = event.submitter;
        if (!button || !button.matches(OPENS)) return;
        event.preventDefault();
        send(button.formAction, new FormData(event.target, button));
    });

    // After the choice, the server redirects to this page, which then shows the message.
    async function send(address, entries) {
        const answer = await fetch(address, {method: "POST", body: entries, redirect: "manual"});
        if (answer.type === "opaqueredirect") return location.reload();
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const form = page.getElementById("keep"), bar = page.querySelector(".lh-decision-bar");
        if (!answer.ok || !form || !bar) return location.reload();
        show(form, bar, address);
    }

    function show(form, bar, address) {
        const dialog = document.querySelector(".lh-keep-dialog") || document.body.appendChild(document.createElement("dialog"));
        dialog.className = "lh-keep-dialog lh-page";
        const comment = form.querySelector("#comment");
        // The page below has a field for a comment, too.
        form.querySelector("label[for=comment]").htmlFor = comment.id = "lh-keep-comment";
        const title = form.querySelector("h2");
        title.id = "lh-keep-title";
        dialog.setAttribute("aria-labelledby", title.id);
        dialog.replaceChildren(form, bar);
        const [cancel] = bar.querySelectorAll("a");
        cancel.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            event.stopPropagation();
            send(address, new FormData(form));
        });
        if (!dialog.open) dialog.showModal();
        (form.querySelector("[role=alert]") || dialog).scrollIntoView({block: "nearest"});
        (form.querySelector("input[type=radio]:checked") || comment).focus();
    }
})();
