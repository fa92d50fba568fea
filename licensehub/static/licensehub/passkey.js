// Says what happened when a passkey was not used: the browser's own error is for programmers.
"use strict";
(() => {
    document.addEventListener("allauth.error", (event) => {
        event.preventDefault();
        const notice = document.getElementById("lh-passkey-error");
        if (notice) { notice.hidden = false; notice.focus(); }
    });
    if (!window.PublicKeyCredential) for (const element of document.querySelectorAll("[data-lh-passkey]")) element.hidden = true;
})();
