"""Which leads a person sees, and which of them a list shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts import sight
from accounts.models import Organization, User
from admin_lists.counts import Capped, capped_count
from admin_lists.owners import FEW, rows_of, streams_of
from admin_lists.pages import AFTER, BEFORE, Order, Page, read_page
from admin_lists.search import found, looks

from .. import normalise
from ..models import Lead, LeadSource, LeadStatus

ORDER = Order(Lead, ("created_at", "pk"))
PAGE = 50
#: Leads that are read at once where all are asked for.
EXPORTED = 500
#: Counts stop here.
MOST = 1_000

MINE, UNASSIGNED, ALL = "mine", "unassigned", "all"
TABS = {
    MINE: pgettext_lazy("leads", "Mine"),
    UNASSIGNED: pgettext_lazy("leads", "Unassigned"),
    ALL: pgettext_lazy("leads", "All"),
}
#: Scores from and to, both included.
BANDS = {"high": (70, 100), "middle": (40, 69), "low": (0, 39)}
BAND_LABELS = {
    "high": gettext_lazy("70 or more"),
    "middle": gettext_lazy("40 to 69"),
    "low": gettext_lazy("below 40"),
}
#: So many digits look like a phone number.
_DIGITS = re.compile(r"^[\s()+./-]*(\d[\s()+./-]*){6,}$")


def band_of(score: int | None) -> str:
    """The name of the band that a score lies in; empty without one."""
    return next((name for name, (low, high) in BANDS.items() if score is not None and low <= score <= high), "")


class ChoiceForm(forms.Form):
    """What the address of a list says. What it does not understand chooses nothing."""

    q = forms.CharField(
        label=gettext_lazy("Search"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": gettext_lazy("Name, email or phone")}),
    )
    status = forms.ChoiceField(label=gettext_lazy("Status"), required=False)
    source = forms.ChoiceField(label=gettext_lazy("Source"), required=False)
    score = forms.ChoiceField(label=gettext_lazy("Score"), required=False)
    organization = forms.ChoiceField(label=gettext_lazy("Organization"), required=False)

    def __init__(self, data: QueryDict, organizations: Sequence[Organization], *, by_status: bool) -> None:
        super().__init__(data, auto_id="choose_%s")
        choices = {
            "status": [("", _("Any status")), *LeadStatus.choices],
            "source": [("", _("Any source")), *LeadSource.choices],
            "score": [("", _("Any score")), *BAND_LABELS.items()],
            "organization": [("", _("All organizations")), *((str(one.pk), one.name) for one in organizations)],
        }
        for name, values in choices.items():
            field: Any = self.fields[name]
            field.choices = values
        if len(organizations) < 2:
            del self.fields["organization"]
        if not by_status:
            del self.fields["status"]
        self.is_valid()


@dataclass(frozen=True)
class Tab:
    """One of the three lists: whose leads."""

    name: str
    label: str
    address: str
    #: None where it was not counted
    count: Capped | None
    current: bool


class Choice:
    """The leads that a person may see, narrowed down by what the address says; by status only where that is asked."""

    def __init__(
        self, person: User, query: QueryDict, *, by_status: bool = True, permission: str = "leads.view_lead"
    ) -> None:
        """The leads where the person has the permission; raises `Http404` for who has it nowhere."""
        self.person = person
        self.ids = sight.organization_ids(person, permission)
        if self.ids == []:
            raise Http404
        self.organizations = list(sight.organizations(person, permission)[: MOST + 1])
        if self.ids is None and len(self.organizations) <= FEW:
            # a superuser's too: an index has each organization's leads
            self.ids = [one.pk for one in self.organizations]
        self.form = ChoiceForm(query, self.organizations, by_status=by_status)
        self.tab = query.get("show", MINE) if query.get("show", MINE) in TABS else MINE
        self.chosen = {name: value for name, value in self.form.cleaned_data.items() if value}
        self._edges = query.get(BEFORE), query.get(AFTER)

    @cached_property
    def rows(self) -> QuerySet[Lead]:
        """The leads of the tab that is shown."""
        return self._of_tab(self.tab)

    def tabs(self, view: str, known: Capped | None = None) -> list[Tab]:
        """The three lists with what is chosen now. `known` is the count of the one that is shown.

        The others are counted only where nothing is chosen.
        """
        own = known or capped_count(self.rows, MOST)
        others = [] if self.chosen else [name for name in TABS if name != self.tab]
        counts = {self.tab: own, **{name: capped_count(self._of_tab(name), MOST) for name in others}}
        return [
            Tab(name, str(label), self.address(view, show=name), counts.get(name), name == self.tab)
            for name, label in TABS.items()
        ]

    def page(self) -> Page:
        """The page of the list that the address asks for."""
        before, after = (self._key(edge) for edge in self._edges)
        last = self._edges[1] == ""
        return self._read(self.rows, PAGE, before=before, after=after, last=last)

    def every_lead(self) -> Iterator[Lead]:
        """All leads of the list in its order, read a page at a time."""
        before: Any = None
        while True:
            page = self._read(self.rows, EXPORTED, before=before)
            yield from page.rows
            if not page.rows or not page.older:
                return
            before = tuple(getattr(page.rows[-1], name) for name in ORDER.columns)

    def column(self, status: LeadStatus, size: int) -> tuple[Page, Capped]:
        """The newest of the leads with this status, and how many there are."""
        rows = self.rows.filter(status=status)
        page = self._read(rows, size)
        return page, capped_count(rows, MOST) if page.count is None else page.count

    def address(self, path: str, **changed: str) -> str:
        """The list's address with something changed; a name without a value is left out."""
        query = {"show": self.tab, **{name: str(value) for name, value in self.chosen.items()}, **changed}
        return f"{path}?{urlencode({name: value for name, value in query.items() if value or name == AFTER})}"

    def _read(self, rows: QuerySet[Lead], size: int, **edges: Any) -> Page:
        return read_page(
            rows,
            ORDER,
            size,
            streams=self._streams,
            fetch=lambda leads: leads.select_related("assignee", "organization"),
            **edges,
        )

    def _streams(self, rows: QuerySet[Any]) -> Sequence[QuerySet[Any]]:
        """Each organization's rows: an index has these in order."""
        chosen = self._organization_ids()
        return [rows] if chosen is None else streams_of(rows, "organization", chosen)

    def _organization_ids(self) -> list[UUID] | None:
        chosen = self.chosen.get("organization")
        return [UUID(chosen)] if chosen else self.ids

    def _of_tab(self, tab: str) -> QuerySet[Lead]:
        ids = self._organization_ids()
        rows = Lead.present.all() if ids is None else rows_of(Lead.present.all(), "organization", ids)
        if tab == MINE:
            rows = rows.filter(assignee=self.person)
        elif tab == UNASSIGNED:
            # of one status an index has them together; SQLite would look at everybody's by the index of assignees
            one_status = "status" not in self.form.fields or "status" in self.chosen
            rows = rows.exclude(assignee__isnull=False) if one_status else rows.filter(assignee=None)
        for name in ("status", "source"):
            if value := self.chosen.get(name):
                rows = rows.filter(**{name: value})
        if band := self.chosen.get("score"):
            rows = rows.filter(score__range=BANDS[band])
        text = self.chosen.get("q", "").strip()
        # what is found is the person's to see: its organization need not be asked for again
        return found(Lead.present.all(), self._looks(rows, text)) if text else rows

    def _looks(self, rows: QuerySet[Lead], text: str) -> Iterator[QuerySet[Lead]]:
        """As the admin looks, and for a phone number however it is written."""
        if _DIGITS.match(text):
            yield rows.order_by().filter(phone__in=self._numbers(text))
            return
        yield from looks(rows, text, ids=("id",), exact=(), beginnings=("email_key", "name_key"))

    def _numbers(self, text: str) -> set[str]:
        """The numbers that a text may stand for, by the countries of the person's organizations."""
        numbers = set()
        for country in {"", *(one.country for one in self.organizations)}:
            try:
                numbers.add(normalise.phone_number(text, country))
            except ValueError:
                continue
        return numbers

    def _key(self, text: str | None) -> Any:
        try:
            return ORDER.key(text) if text else None
        except ValidationError:
            raise Http404 from None


def lead_of(person: User, lead_id: UUID) -> Lead:
    """The lead, if the person may see it; raises `Http404`: nobody else learns that it exists."""
    lead = Lead.objects.select_related("organization", "assignee").filter(pk=lead_id).first()
    if lead is None or not sight.may(person, "leads.view_lead", lead.organization_id):
        raise Http404
    return lead
