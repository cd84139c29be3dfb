"""Whatever page of the admin a Brazilian opens, its words are Portuguese: what the rows hold stays as it is."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from accounts.models import User

from .pages import every_page, of_each_kind
from .rows import Rows

pytestmark = pytest.mark.django_db

#: Attributes that people read.
SHOWN = ("title", "alt", "placeholder", "aria-label", "label")
SILENT = {"script", "style", "code", "pre", "textarea", "svg"}
#: Words that no Portuguese text has.
ENGLISH = re.compile(
    r"\b(the|of|and|with|without|this|that|these|not|is|are|was|were|has|have|been|will|by|from|for|to|at|all|any|none|"
    r"yes|add|change|delete|view|search|select|save|show|close|new|old|newest|oldest|last|first|next|back|jobs?|queues?|"
    r"attempts?|state|created|started|ended|error|reason|name|user|group|password|message|organi[sz]ations?|mail|sent|"
    r"failed|completed|cancelled|waiting|retry|run|history|filter|unknown|empty)\b",
    re.IGNORECASE,
)
#: What the rows hold, and names of things that are the same in every language.
HELD = re.compile(
    r"row\d+|with row\d+|HTTPError: 503 Service Unavailable|503|Changed\.|News|Hello|New lead|Call us|Called\.|"
    r"company-0|[\w.+-]+@[\w.-]+|\w+\.\w+(_\w+)*|https?://\S+|manage\.py [\w -]+|LeadCreated|Django|staff|superuser|"
    r"[a-z]+:[<>=\"\w]\S*|v\d|\w+_\w+|--\w+|[Ee]-mails?|Site de administração do Django"
)


class Texts(HTMLParser):
    """What of a page people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in SILENT
        values = dict(attrs)
        self.found += [str(values[name]) for name in SHOWN if values.get(name)]
        if tag == "input" and values.get("type") in ("submit", "button", "reset"):
            self.found.append(str(values.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent and data.strip():
            self.found.append(" ".join(data.split()))


def test_no_page_of_the_admin_says_anything_in_english(client: Client) -> None:
    Rows().add(2)
    user = User.objects.create_superuser("boss@example.org")
    client.force_login(user)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "pt-br"
    english: dict[str, str] = {}
    pages = list(of_each_kind(every_page(user, pairs=False)))
    for page in pages:
        response = client.post(page.path, page.data) if page.data else client.get(page.path)
        if "html" not in response.headers["Content-Type"]:
            continue
        for text in Texts(response.content.decode()).found:
            if ENGLISH.search(HELD.sub("", text)):
                english.setdefault(text, page.name)
    assert len(pages) > 100
    assert not english, "\n".join(f"{page}: {text}" for text, page in english.items())
