// The query box of the job list: completes filters and their values by keyboard (the combobox of WAI-ARIA).
// The box works without it.
"use strict";
{
  const box = document.getElementById("searchbar");
  const list = document.getElementById("query-options");
  const data = document.getElementById("query-words");
  const MOST = 12;

  /** What stands before the caret since the last blank outside of quotes. */
  const wordBefore = (text) => {
    let start = 0;
    let quoted = false;
    for (let i = 0; i < text.length; i += 1) {
      if (text[i] === '"') quoted = !quoted;
      else if (text[i] === " " && !quoted) start = i + 1;
    }
    return { start, word: text.slice(start) };
  };

  /** The lines to offer: what is written, what it means, and whether a value follows. */
  const offers = (words, word) => {
    const colon = word.indexOf(":");
    if (colon < 0) {
      const typed = word.toLowerCase();
      return words.filters
        .filter(([name]) => name.startsWith(typed) && !word.startsWith('"'))
        .map(([name, means]) => ({ text: `${name}:`, means, goesOn: true }));
    }
    const name = word.slice(0, colon).toLowerCase();
    const typed = word.slice(colon + 1).replace(/^"/, "").toLowerCase();
    const values = words.values[name] || [];
    const begins = values.filter(([value]) => value.toLowerCase().startsWith(typed));
    const holds = values.filter(([value, means]) => !begins.some(([one]) => one === value)
      && (value.toLowerCase().includes(typed) || means.toLowerCase().startsWith(typed)));
    return [...begins, ...holds]
      .filter(([value]) => value.toLowerCase() !== typed)
      .map(([value, means]) => ({ text: `${name}:${value.includes(" ") ? `"${value}"` : value} `, means, goesOn: false }));
  };

  const start = (words) => {
    let shown = [];
    let active = -1;

    const close = () => {
      shown = [];
      active = -1;
      list.hidden = true;
      box.setAttribute("aria-expanded", "false");
      box.removeAttribute("aria-activedescendant");
    };

    const mark = (index) => {
      active = index;
      [...list.children].forEach((item, i) => {
        item.setAttribute("aria-selected", String(i === active));
        if (i === active) item.scrollIntoView({ block: "nearest" });
      });
      if (active < 0) box.removeAttribute("aria-activedescendant");
      else box.setAttribute("aria-activedescendant", `query-option-${active}`);
    };

    const choose = (index) => {
      const before = box.value.slice(0, box.selectionStart);
      const after = box.value.slice(box.selectionStart).replace(/^\S*\s?/, "");
      const { start: from } = wordBefore(before);
      const { text, goesOn } = shown[index];
      box.value = before.slice(0, from) + text + after;
      box.setSelectionRange(from + text.length, from + text.length);
      close();
      box.focus();
      if (goesOn) open();
    };

    const open = () => {
      const { word } = wordBefore(box.value.slice(0, box.selectionStart));
      shown = offers(words, word).slice(0, word.includes(":") ? MOST : words.filters.length);
      list.replaceChildren(...shown.map(({ text, means }, i) => {
        const item = document.createElement("li");
        const written = document.createElement("code");
        item.id = `query-option-${i}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        written.textContent = text.trim();
        item.append(written, " ", means);
        return item;
      }));
      if (!shown.length) {
        close();
        return;
      }
      list.hidden = false;
      box.setAttribute("aria-expanded", "true");
      mark(-1);
    };

    box.setAttribute("role", "combobox");
    box.setAttribute("aria-autocomplete", "list");
    box.setAttribute("aria-controls", list.id);
    box.setAttribute("aria-expanded", "false");
    box.addEventListener("input", open);
    box.addEventListener("blur", close);
    box.addEventListener("keydown", (event) => {
      const last = shown.length - 1;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (list.hidden) open();
        if (!shown.length) return;
        const down = event.key === "ArrowDown";
        if (down) mark(active >= shown.length - 1 ? 0 : active + 1);
        else mark(active <= 0 ? shown.length - 1 : active - 1);
        event.preventDefault();
      } else if ((event.key === "Enter" || event.key === "Tab") && active >= 0 && active <= last) {
        choose(active);
        event.preventDefault();
      } else if (event.key === "Escape" && !list.hidden) {
        close();
        event.preventDefault();
      }
    });
    // before the box loses the focus
    list.addEventListener("mousedown", (event) => {
      const index = [...list.children].indexOf(event.target.closest("li"));
      if (index >= 0) choose(index);
      event.preventDefault();
    });
  };

  if (box && list && data) start(JSON.parse(data.textContent));
}
