// When somebody opens the filters, writes the number of rows beside each choice. For a long list, the server sends no numbers.
"use strict";
(() => {
    let asked = false;

    function writeToOptions(select, numbers) {
        for (const option of select.options) if (numbers[option.value]) option.textContent += ` (${numbers[option.value]})`;
    }

    // A field to type in gets the known values, each with its number.
    function offer(field, numbers) {
        const list = document.createElement("datalist");
        list.id = `lh-values-${field.name}`;
        for (const [value, number] of Object.entries(numbers)) {
            const option = document.createElement("option");
            option.value = value;
            if (number) option.label = `${value} (${number})`;
            list.append(option);
        }
        field.after(list);
        field.setAttribute("list", list.id);
    }

    // In the links of one filter, only its own parameter differs.
    function writeToLinks(list, name, numbers) {
        const links = [...list.querySelectorAll("a[href]")];
        const values = links.map((link) => new URLSearchParams(link.getAttribute("href")).get(name));
        if (new Set(values).size < 2) return;
        links.forEach((link, place) => {
            if (!numbers[values[place]]) return;
            const count = document.createElement("span");
            count.className = "lh-count";
            count.textContent = numbers[values[place]];
            link.append(" ", count);
        });
    }

    function write(counts) {
        for (const [name, numbers] of Object.entries(counts)) {
            for (const select of document.querySelectorAll("#changelist-filter select")) if (select.name === name) writeToOptions(select, numbers);
            for (const field of document.querySelectorAll("#changelist-filter input[type=text]")) if (field.name === name) offer(field, numbers);
            for (const list of document.querySelectorAll("#changelist-filter ul")) writeToLinks(list, name, numbers);
        }
    }

    async function ask() {
        const source = document.querySelector("[data-lh-choice-counts]");
        if (asked || !source) return;
        asked = true;
        const answer = await fetch(source.dataset.lhChoiceCounts, {headers: {Accept: "application/json"}});
        if (answer.ok) write(await answer.json());
    }

    // The button that opens the filters is beside this element. A key press on it is a click, too.
    document.addEventListener("click", (event) => {
        const source = document.querySelector("[data-lh-choice-counts]");
        if (source && source.parentElement.contains(event.target) && event.target.closest("a, [role=button]")) ask();
    });
})();
