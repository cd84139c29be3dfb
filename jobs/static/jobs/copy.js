/* Buttons that copy a text: without this file, or where the browser has no clipboard, they are not shown.

     data-copy-text   the text
     data-copy-from   or where it stands: all that this selector finds, a line each
     data-copied      what the button says for a moment, once it is done */
(function () {
  "use strict";
  if (!navigator.clipboard) return;
  document.documentElement.classList.add("can-copy");

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy-text], [data-copy-from]");
    if (!button) return;
    const from = button.dataset.copyFrom;
    const text = from
      ? [...document.querySelectorAll(from)].map((one) => one.textContent).join("\n")
      : button.dataset.copyText;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    if (button.dataset.label) return;
    button.dataset.label = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => {
      button.textContent = button.dataset.label;
      delete button.dataset.label;
    }, 2000);
  });
})();
