// A slider beside the preview of a reclaim rule that moves the threshold. Without it the field takes the number.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const field = document.getElementById("id_last_activity_threshold");
    const slider = document.querySelector("[data-threshold]");
    if (!field || !slider) return;
    slider.closest("label").hidden = false;
    const shown = document.querySelector("[data-threshold-shown]");
    const show = () => { shown.textContent = field.value; };
    slider.value = field.value;
    // The form hears both, and asks for the preview: see preview.html.
    slider.addEventListener("input", () => { field.value = slider.value; show(); });
    field.addEventListener("input", () => { slider.value = field.value; show(); });
});
