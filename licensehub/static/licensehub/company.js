// The page Company: restores the default text, and previews the text that somebody edits.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".lh-notice").forEach((notice) => {
        const fields = notice.querySelectorAll("[data-default]");
        notice.querySelector("[data-back]").addEventListener("click", () => {
            fields.forEach((field) => { field.value = field.dataset.default; });
            fields[0].dispatchEvent(new Event("input", { bubbles: true }));
        });
        notice.addEventListener("focusin", () => {
            const wanted = { preview: notice.dataset.kind, preview_language: notice.dataset.language };
            Object.entries(wanted).forEach(([name, value]) => {
                const radio = document.querySelector(`input[name="${name}"][value="${value}"]`);
                if (radio.checked) return;
                radio.checked = true;
                radio.dispatchEvent(new Event("change", { bubbles: true }));
            });
        });
    });
});
