// Copies the value of the input that a button names, and says so in the words of data-copied or data-failed. Without it the address can be selected by hand.
"use strict";
document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const input = document.getElementById(button.dataset.copy);
    const word = button.querySelector("[aria-live]");
    input.select();
    navigator.clipboard.writeText(input.value).then(
        () => { word.textContent = button.dataset.copied; },
        () => { word.textContent = button.dataset.failed; },
    );
});
