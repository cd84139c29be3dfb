"""Somebody at a browser: opens pages of one site, and notes whatever must not happen on any of them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright

from tests.servers import need_chromium

#: Two cores may carry a suite and a browser at once.
PATIENCE_MS = 20_000
DESKTOP, PHONE = (1280, 900), (390, 844)
#: Django's own widgets, made by its scripts: the two boxes of many choices, and Select2.
_NOT_OURS = [".help-tooltip", ".select2-container"]
_LOOKS: tuple[tuple[str, tuple[int, int], Literal["light", "dark"]], ...] = (
    ("desk", DESKTOP, "light"),
    ("phone", PHONE, "dark"),
    ("desk", DESKTOP, "dark"),
    ("phone", PHONE, "light"),
)
#: WCAG 2.0 to 2.2, levels A and AA.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: A colour that is half way to another one is nobody's; a sheet made by script needs no style element.
_NOTHING_MOVES = """
    const still = new CSSStyleSheet();
    still.replaceSync("*, ::before, ::after { transition: none !important; animation: none !important }");
    document.adoptedStyleSheets.push(still);
"""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """A Chromium without a window; the test ends here where the machine has none."""
    program = need_chromium()
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=options)
        expect.set_options(timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """A browser window with cookies of its own. `faults` holds what went wrong on its pages, `page` is Playwright's.

    Noted are: errors of scripts, errors in the console (a breach of the Content-Security-Policy is one), answers of
    400 and above, requests that failed, and requests to anywhere but the site.
    """

    def __init__(self, browser: Browser, site: str, **options: Any) -> None:
        self.site = site.rstrip("/")
        self.faults: list[str] = []
        self._expected: set[int] = set()
        self._runs_scripts = True
        size = dict(zip(("width", "height"), DESKTOP, strict=True))
        self.context = browser.new_context(**{"locale": "en-US", "viewport": size, "color_scheme": "light", **options})
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self._note(f"script: {error.error}"))
        self.context.on("request", self._see_request)
        self.context.on("requestfailed", self._see_failure)
        self.context.on("response", self._see_response)
        self.context.add_init_script(_NOTHING_MOVES)
        self.page: Page = self.context.new_page()

    def close(self) -> None:
        """Close the window."""
        self.context.close()

    def sign_in(self, session: str) -> None:
        """Go on as the person whose session it is."""
        self.context.add_cookies([{"name": "sessionid", "value": session, "url": self.site}])

    def open(self, path: str) -> Page:
        """Open a page of the site, by its path."""
        answer = self.page.goto(self.site + path)
        policy = answer.headers.get("content-security-policy", "") if answer is not None else ""
        self._runs_scripts = "sandbox" not in policy or "allow-scripts" in policy
        return self.page

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Answers with these statuses are no faults meanwhile."""
        self._expected |= set(statuses)
        try:
            yield
        finally:
            self.page.wait_for_load_state()
            self._expected -= set(statuses)

    @property
    def path(self) -> str:
        """The path of the page that is shown, with its query."""
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def look(self, *, closely: bool = False) -> list[str]:
        """What is wrong with the page as it is shown, a line each: breaches of WCAG, and what a phone cannot show.

        Light on a desk and dark on a phone; `closely`: and the other way around. A document that may run no script
        (a mail in its frame) cannot be asked: the browser would never answer.
        """
        found: dict[str, None] = {}
        if not self._runs_scripts:
            return []
        for name, size, scheme in _LOOKS if closely else _LOOKS[:2]:
            self.page.set_viewport_size({"width": size[0], "height": size[1]})
            self.page.emulate_media(color_scheme=scheme)
            found |= dict.fromkeys(f"{name}, {scheme}: {line}" for line in self._ask_axe())
            wide = self.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
            if wide > 0:
                found[f"{name}: the page is {wide} px wider than the screen"] = None
        self.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        self.page.emulate_media(color_scheme="light")
        return list(found)

    def sees_nothing_wrong(self, *, closely: bool = False) -> None:
        """Assert it."""
        found = self.look(closely=closely)
        assert not found, "\n".join([self.path, *found])

    def _ask_axe(self) -> list[str]:
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_axe())
        # its preloading makes a style element, which the site's policy forbids
        options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"], "preload": False}
        context = {"exclude": [[selector] for selector in _NOT_OURS]}
        answer = self.page.evaluate("([context, options]) => axe.run(context, options)", [context, options])
        return [
            f"{violation['id']} ({violation['help']}): {node['target'][-1]} {node['html'][:160]}"
            f" {' '.join(check['message'] for check in node['any'])[:300]}"
            for violation in answer["violations"]
            for node in violation["nodes"]
        ]

    def _note(self, text: str) -> None:
        self.faults.append(f"{self.page.url.removeprefix(self.site) if hasattr(self, 'page') else ''}: {text}")

    def _hear(self, message: ConsoleMessage) -> None:
        # an answer of 400 and above is noted by its status
        if message.type in {"error", "assert"} and not message.text.startswith("Failed to load resource"):
            self._note(f"console: {message.text}")

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.site}/", "data:", "blob:")):
            self._note(f"asks another site: {request.url}")

    def _see_failure(self, request: Request) -> None:
        # who goes on to another page gives up what this one still asks for
        if request.failure != "net::ERR_ABORTED":
            self._note(f"{request.method} {request.url} failed: {request.failure}")

    def _see_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self._note(f"{response.request.method} {response.url} answered {response.status}")


@cache
def _axe() -> str:
    """The script of axe-core, which the wheel axe-playwright-python brings."""
    wheel = importlib.util.find_spec("axe_playwright_python")
    if wheel is None or not wheel.submodule_search_locations:
        raise RuntimeError("axe-playwright-python is not installed: run .ci/setup requirements-dev.txt")
    return (Path(next(iter(wheel.submodule_search_locations))) / "axe.min.js").read_text(encoding="utf-8")
