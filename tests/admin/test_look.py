"""How states, moments and numbers look: told apart without colour, and readable in both schemes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Template
from django.utils import timezone, translation

from accounts.admin.organization import INVITATION
from accounts.models import Invitation
from admin_lists.marks import SHAPES, Mark, marked
from admin_lists.moments import ago
from emails.marks import CAMPAIGN, DELIVERY
from emails.models import Campaign, Delivery
from jobs import clock
from jobs.admin.marks import MARKS, OUTCOMES
from jobs.models import STATE_WORDS, AttemptOutcome
from jobs.states import Shown, State
from leads.admin.marks import CONSENT, EFFECT, STATUS, SUBMISSION
from leads.models import EffectState, LeadStatus, SubmissionState
from leads.models.consent import ConsentAct
from notifications.marks import KINDS
from notifications.models import Notification

#: What stands behind a word: a page, every other row of a list, a row that is ticked, a card.
GROUNDS = ("--body-bg", "--darkened-bg", "--selected-row", "--selected-bg")
STOCK = ("admin/css/base.css", "admin/css/dark_mode.css", "admin_lists/look.css")
#: As a stranger's project has them, and as the product does.
SHEETS = {"stock": STOCK, "product": (*STOCK, "accounts/admin.css")}


def drawn(state: str) -> str:
    return Template("{% load jobs_admin %}{% job_state state %}").render(Context({"state": state}))


def test_every_state_has_a_mark_and_a_shape_of_its_own() -> None:
    assert set(MARKS) == {str(state) for state in (*State, *Shown)}
    assert set(OUTCOMES) == set(AttemptOutcome.values)
    assert set(STATUS) == set(LeadStatus.values)
    assert set(SUBMISSION) == set(SubmissionState.values)
    assert set(EFFECT) == set(EffectState.values)
    assert set(CONSENT) == set(ConsentAct.values)
    assert set(CAMPAIGN) == set(Campaign.State.values)
    assert set(DELIVERY) == set(Delivery.values) - {""}
    assert set(KINDS) == set(Notification.Kind.values)
    assert set(INVITATION) == set(Invitation.State.values)
    for marks in KINDS_OF_MARKS:
        shapes = [SHAPES[mark.shape] for mark in marks.values()]
        assert len(set(shapes)) == len(shapes), "two states have one shape"


@pytest.mark.parametrize("state", sorted(MARKS))
def test_a_state_is_a_word_with_a_shape_that_readers_aloud_leave_out(state: str) -> None:
    page = drawn(state)
    assert f'class="state state-{state} tone-{MARKS[state].tone}"' in page
    assert re.sub(r"<[^>]*>", "", page) == STATE_WORDS[state]
    assert 'aria-hidden="true"' in page
    assert "style=" not in page


def test_what_is_no_state_is_shown_as_it_stands() -> None:
    assert drawn("<script>") == "&lt;script&gt;"
    assert "<script>" not in marked(Mark("good", "check"), "<script>")


def variables(scheme: str, site: str) -> Mapping[str, str]:
    """The colours of the admin and of the look in one scheme, by the name of their variable; each way to set it."""
    ways: list[dict[str, str]] = [{}, {}]
    for name in SHEETS[site]:
        sheet = Path(str(finders.find(name))).read_text()
        sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
        auto = "".join(re.findall(r"@media \(prefers-color-scheme: dark\) \{\s*(:root \{.*?\})\s*\}", sheet, re.DOTALL))
        sheet = re.sub(r"@media [^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", sheet)
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet):
            found = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body))
            if ":root" in selector:
                for way in ways:
                    way.update(found)
            if scheme == "dark" and 'data-theme="dark"' in selector:
                ways[0].update(found)
        if scheme == "dark":
            ways[1].update(re.findall(r"(--[\w-]+):\s*([^;]+);", auto))
    chosen, by_itself = ways
    names = (*GROUNDS, *(name for name in chosen if name.startswith("--state-")))
    assert {name: chosen[name] for name in names} == {name: by_itself[name] for name in names}
    return chosen


def luminance(colour: str) -> float:
    digits = colour.strip().lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


KINDS_OF_MARKS = (MARKS, OUTCOMES, STATUS, SUBMISSION, EFFECT, CONSENT, CAMPAIGN, DELIVERY, KINDS, INVITATION)


@pytest.mark.parametrize("site", sorted(SHEETS))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_are_readable_in_both_schemes(scheme: str, site: str) -> None:
    found = variables(scheme, site)
    tones = {mark.tone for marks in KINDS_OF_MARKS for mark in marks.values()}
    assert tones <= {name.removeprefix("--state-") for name in found if name.startswith("--state-")}
    for tone in tones:
        for ground in GROUNDS:
            seen = contrast(found[f"--state-{tone}"], found[ground])
            assert seen >= 4.5, f"{tone} on {ground} in {scheme}: {seen:.2f}"


@pytest.mark.parametrize("site", sorted(SHEETS))
def test_the_schemes_have_colours_of_their_own(site: str) -> None:
    light, dark = variables("light", site), variables("dark", site)
    assert all(light[name] != dark[name] for name in light if name.startswith("--state-"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_products_words_are_readable_where_they_stand(scheme: str) -> None:
    found = variables(scheme, "product")
    words = ("--body-fg", "--body-quiet-color", "--link-fg", "--error-fg")
    pairs = {*product(words, GROUNDS[:2]), ("--header-link-color", "--header-bg"), ("--link-fg", "--header-bg")}
    pairs |= {("--breadcrumbs-fg", "--breadcrumbs-bg"), ("--breadcrumbs-link-fg", "--breadcrumbs-bg")}
    pairs |= {
        ("--button-fg", f"--{kind}")
        for kind in ("button-bg", "button-hover-bg", "default-button-bg", "delete-button-bg")
    }
    pairs |= {("--object-tools-fg", "--object-tools-bg"), ("--object-tools-fg", "--object-tools-hover-bg")}
    pairs |= {("--body-fg", f"--message-{kind}-bg") for kind in ("success", "warning", "error")}
    bad = {pair: round(seen, 2) for pair in pairs if (seen := contrast(*(found[name] for name in pair))) < 4.5}
    assert not bad


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-4, "just now"),
        (12, "12 seconds ago"),
        (-30, "in 30 seconds"),
        (59.9, "59 seconds ago"),
        (60, "1\xa0minute ago"),
        (3 * 60 + 50, "3\xa0minutes ago"),
        (-185, "in 3\xa0minutes"),
        (90_000, "1\xa0day ago"),
    ],
)
def test_a_moment_is_told_from_now_and_exactly(seconds: float, said: str) -> None:
    now = clock.now()
    moment = now - timedelta(seconds=seconds)
    shown = Template("{% load jobs_admin %}{% job_ago moment now %}").render(Context({"moment": moment, "now": now}))
    assert re.sub(r"<[^>]*>", "", shown) == said
    assert f'datetime="{moment.isoformat()}"' in shown
    assert re.search(r'title="[^"]*\d[^"]*"', shown)


def test_a_moment_is_told_in_the_readers_language() -> None:
    with translation.override("pt-br"):
        now = timezone.now()
        assert ">há 12 segundos<" in ago(now - timedelta(seconds=12), now)
        assert ">em 2\xa0horas<" in ago(now + timedelta(hours=2, seconds=1), now)
