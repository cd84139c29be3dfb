/* Keeps parts of a page up to date without reloading it; the page works without this file as well.

   A part that follows the server, and what stands beside it (jobs/templates/admin/jobs/live.html):

     <div id="overview" data-live="/address/of/its/inside/" data-live-tag='"abc"' data-live-at="1764380000000"> … </div>
     {% include "admin/jobs/live.html" %}

     data-live        where its inside is fetched from, on this origin. The answer is HTML in which the element of the same
                      id, or else the first one, stands for the part itself: its attributes and all that is in it are
                      taken over; so a page can be fetched whole. The server answers 304 for
                      the ETag that it gave, and 403, 404 or a redirection to who may not see it any more.
     data-live-tag    the ETag of what the page shows; optional.
     data-live-at     when it was looked at, in milliseconds: an answer that is older than what is shown is left out.
     data-live-fast   seconds between two looks while something changes; default 3.
     data-live-slow   and when nothing has changed for a while; default 15.
     data-live-done   nothing changes any more: it is not fetched again.

   What a person does stays as it is: the focus, an open <details>, a form with changed values or in which somebody
   writes, the place on the page. Children are told apart by `id` or `data-live-key`; give rows that come and go one.
   A <time datetime="…" title="…"> within such a part, and elsewhere one with data-live-ago, reads "3 minutes ago", with
   data-live-for "3 minutes", and moves by itself: what only time changes need not be in the ETag.

   [data-live-switch] stops and starts it for all pages of this browser, [data-live-note] says how it is. In a hidden tab
   nothing is fetched; an error is said, and the next look comes later each time.

   For other scripts: the part gets the events `live:updated` after each change; `window.jobsLive.look(part)` looks at
   once, for example after a form was sent. */
(function () {
  "use strict";
  const SWITCH = "jobs-live";
  const LONGEST = 60;
  const KEPT = { DETAILS: ["open"], INPUT: ["value", "checked"], OPTION: ["selected"] };
  const parts = [];

  class Part {
    constructor(element) {
      this.element = element;
      this.tag = element.dataset.liveTag || "";
      this.failures = 0;
      this.wait = this.fast();
      this.timer = 0;
      this.looking = false;
      this.gone = false;
    }
    fast() { return Number(this.element.dataset.liveFast) || 3; }
    slow() { return Number(this.element.dataset.liveSlow) || 15; }
    ended() { return this.gone || "liveDone" in this.element.dataset || !this.element.isConnected; }
    schedule(seconds) {
      clearTimeout(this.timer);
      if (this.ended() || !isOn() || document.hidden) return;
      // not all pages at the same moment
      this.timer = setTimeout(() => this.look(), seconds * 1000 * (0.9 + 0.2 * Math.random()));
    }
    async look() {
      if (this.looking || this.ended()) return;
      this.looking = true;
      clearTimeout(this.timer);
      const headers = { "X-Requested-With": "XMLHttpRequest" };
      if (this.tag) headers["If-None-Match"] = this.tag;
      const ended = new AbortController();
      const limit = setTimeout(() => ended.abort(), 20000);
      try {
        const answer = await fetch(this.element.dataset.live, {
          headers, credentials: "same-origin", cache: "no-store", redirect: "manual", signal: ended.signal,
        });
        if (answer.type === "opaqueredirect" || [401, 403, 404, 410].includes(answer.status)) {
          this.gone = true;
        } else if (answer.status === 304) {
          this.failures = 0;
          this.wait = Math.min(this.wait * 1.5, this.slow());
        } else if (answer.ok) {
          const text = await answer.text();
          this.failures = 0;
          this.wait = this.show(text, answer.headers.get("ETag")) ? this.fast() : Math.min(this.wait * 1.5, this.slow());
        } else {
          this.failures += 1;
        }
      } catch {
        this.failures += 1;
      } finally {
        clearTimeout(limit);
        this.looking = false;
      }
      const next = this.failures ? Math.min(this.fast() * 2 ** this.failures, LONGEST) : this.wait;
      say(this, next);
      this.schedule(next);
    }
    /* Whether it was shown: an answer of a server that has looked earlier than another one is not. */
    show(text, tag) {
      const answer = new DOMParser().parseFromString(text, "text/html");
      const fresh = (this.element.id && answer.getElementById(this.element.id)) || answer.body.firstElementChild;
      if (!fresh) return false;
      if (Number(fresh.dataset.liveAt || 0) < Number(this.element.dataset.liveAt || 0)) return false;
      this.tag = tag || "";
      morph(this.element, fresh);
      tick();
      this.element.dispatchEvent(new CustomEvent("live:updated", { bubbles: true }));
      return true;
    }
  }

  /* Make `old` what `fresh` is, and touch only what differs. */
  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.isEqualNode(fresh)) return;
    if (old.tagName === "FORM" && isBeingFilled(old)) return;
    const kept = KEPT[old.tagName] || [];
    const hidden = old.tagName === "INPUT" && old.type === "hidden";
    for (const { name, value } of [...fresh.attributes]) {
      if ((hidden || !kept.includes(name)) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
    }
    if (old.tagName !== "TEXTAREA") morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const child of old.children) if (keyOf(child)) keyed.set(keyOf(child), child);
    const wanted = new Set([...fresh.children].map(keyOf).filter(Boolean));
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const key = keyOf(child);
      // what is to go and has a key of its own stands in nobody's place
      while (at && keyOf(at) && !wanted.has(keyOf(at))) {
        const next = at.nextSibling;
        if (!holdsWork(at)) at.remove();
        at = next;
      }
      const match = key ? keyed.get(key) : at && !keyOf(at) && at.nodeName === child.nodeName ? at : null;
      if (!match) {
        old.insertBefore(document.importNode(child, true), at);
      } else {
        if (match === at) at = at.nextSibling;
        else old.insertBefore(match, at);
        morph(match, child);
      }
    }
    while (at) {
      const next = at.nextSibling;
      if (!holdsWork(at)) at.remove();
      at = next;
    }
  }

  function keyOf(node) {
    return node && node.nodeType === Node.ELEMENT_NODE ? node.dataset.liveKey || node.id || "" : "";
  }

  function holdsWork(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return false;
    const forms = node.tagName === "FORM" ? [node] : [...node.querySelectorAll("form")];
    return forms.some(isBeingFilled);
  }

  function isBeingFilled(form) {
    const focused = document.activeElement;
    if (focused && form.contains(focused) && focused.matches("input, select, textarea")) return true;
    return [...form.elements].some((one) => {
      if (one.type === "checkbox" || one.type === "radio") return one.checked !== one.defaultChecked;
      if (one.tagName === "SELECT") {
        const said = [...one.options].some((option) => option.defaultSelected);
        return said ? [...one.options].some((option) => option.selected !== option.defaultSelected) : one.selectedIndex > 0;
      }
      return ["INPUT", "TEXTAREA"].includes(one.tagName) && one.type !== "hidden" && one.value !== one.defaultValue;
    });
  }

  /* Times that move by themselves, in the page's language. */
  const STEPS = [["second", 60], ["minute", 3600], ["hour", 172800], ["day", Infinity]];
  const LENGTHS = { second: 1, minute: 60, hour: 3600, day: 86400 };

  function tick() {
    const language = document.documentElement.lang || "en";
    for (const element of document.querySelectorAll("[data-live] time[datetime][title], time[data-live-ago], time[data-live-for]")) {
      const passed = (Date.now() - Date.parse(element.dateTime)) / 1000;
      if (!Number.isFinite(passed) || (passed < 0 && "liveFor" in element.dataset)) continue;
      const unit = STEPS.find(([, below]) => Math.abs(passed) < below)[0];
      const count = Math.trunc(passed / LENGTHS[unit]);
      const text = !("liveFor" in element.dataset)
        ? new Intl.RelativeTimeFormat(language, { numeric: Math.abs(passed) < 5 ? "auto" : "always" }).format(Math.abs(passed) < 5 ? 0 : -count, unit)
        : new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: unit === "second" ? "short" : "long" }).format(count);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  /* The switch, and what is said beside it. */
  function isOn() {
    try { return localStorage.getItem(SWITCH) !== "off"; } catch { return true; }
  }

  function turn(on) {
    try { localStorage.setItem(SWITCH, on ? "on" : "off"); } catch { /* then it is forgotten with the page */ }
    showSwitch();
    for (const part of parts) {
      clearTimeout(part.timer);
      if (on) part.look();
      say(part, 0);
    }
  }

  function showSwitch() {
    for (const bar of document.querySelectorAll("[data-live-bar]")) bar.hidden = parts.length === 0;
    for (const button of document.querySelectorAll("[data-live-switch]")) {
      button.setAttribute("aria-pressed", String(isOn()));
    }
  }

  function say(part, seconds) {
    for (const note of document.querySelectorAll("[data-live-note]")) {
      const texts = note.dataset;
      let text = isOn() ? texts.textOn : texts.textOff;
      if (part.gone) text = texts.textGone;
      else if (isOn() && part.failures) text = (texts.textError || "").replace("{seconds}", String(Math.round(seconds)));
      if (note.textContent !== (text || "")) note.textContent = text || "";
    }
  }

  function begin() {
    for (const element of document.querySelectorAll("[data-live]")) parts.push(new Part(element));
    showSwitch();
    for (const part of parts) {
      say(part, 0);
      part.schedule(part.wait);
    }
    if (isOn()) tick();
    setInterval(() => { if (isOn() && !document.hidden) tick(); }, 1000);
    document.addEventListener("click", (event) => {
      if (event.target.closest("[data-live-switch]")) turn(!isOn());
    });
    document.addEventListener("visibilitychange", () => {
      for (const part of parts) document.hidden ? clearTimeout(part.timer) : isOn() && part.look();
    });
    window.addEventListener("storage", (event) => {
      if (event.key !== SWITCH) return;
      showSwitch();
      for (const part of parts) part.schedule(part.fast());
    });
  }

  window.jobsLive = {
    look(element) { parts.filter((part) => part.element === element).forEach((part) => part.look()); },
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
