// What makes the members' pages quicker to work with; each of them works without it.
"use strict";

const FASTEST = 5_000, SLOWEST = 60_000;

// data-live="ADDRESS": what this element shows is asked for again, quickly while it changes, seldom while it does not,
// and not at all in a tab that nobody looks at.
function keepAlive(element) {
  let etag = element.dataset.etag || "", pause = FASTEST, timer = 0;

  async function look() {
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const answer = await fetch(element.dataset.live, { headers, cache: "no-store", redirect: "error" });
      if (answer.status === 200 && !isInUse(element)) {
        const first = !etag, text = await answer.text();
        const isText = (answer.headers.get("Content-Type") || "").startsWith("text/plain");
        etag = answer.headers.get("ETag") || "";
        if (isText) element.textContent = text;
        else element.innerHTML = text;
        pause = first ? pause : FASTEST;
      } else {
        pause = Math.min(pause * 1.5, SLOWEST);
      }
    } catch {
      pause = Math.min(pause * 2, SLOWEST);
    }
    wait();
  }

  function wait() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, pause);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    pause = FASTEST;
    if (!document.hidden) look();
  });
  wait();
}

// Nothing is replaced under somebody's fingers.
function isInUse(element) {
  return element.contains(document.activeElement) && document.activeElement !== document.body;
}

// j and k go through the links of a list, Enter follows one (the browser does that), / goes to the search box.
function useKeys(event) {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") return closeMenus(null);
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const search = document.querySelector("form[role=search] input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const links = [...document.querySelectorAll("[data-rows] > * .title a, [data-rows] .first a, .board .title a")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  }
}

// A line that is opened has been read.
function markRead(event) {
  const link = event.target.closest("a[data-read]");
  const token = document.querySelector("input[name=csrfmiddlewaretoken]");
  if (!link || !token) return;
  const body = new URLSearchParams({ csrfmiddlewaretoken: token.value });
  fetch(link.dataset.read, { method: "POST", body, keepalive: true, redirect: "manual" });
}

document.querySelectorAll("[data-live]").forEach(keepAlive);
document.addEventListener("keydown", useKeys);
document.addEventListener("click", (event) => {
  closeMenus(event.target);
  markRead(event);
});
// A choice in a list's filters takes effect at once.
document.querySelectorAll("form[role=search] select").forEach((select) => {
  select.addEventListener("change", () => select.form.requestSubmit());
});
