"""Which of an organisation's leads a campaign is meant for, whether or not they agreed to get mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from leads.models import Lead, LeadSource, LeadStatus
from leads.pages.choosing import BAND_LABELS, BANDS


@dataclass(frozen=True)
class Audience:
    """Leads with one of these statuses, from one of these sources, with such scores; empty: with any."""

    statuses: Sequence[str] = ()
    sources: Sequence[str] = ()
    bands: Sequence[str] = ()

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Audience:
        """As a campaign's row holds it."""
        return cls(**{name: tuple(stored.get(name, ())) for name in ("statuses", "sources", "bands")})

    def stored(self) -> dict[str, list[str]]:
        """As a campaign's row holds it: only what is asked for."""
        asked = {"statuses": self.statuses, "sources": self.sources, "bands": self.bands}
        return {name: sorted(values) for name, values in asked.items() if values}

    def of_leads(self, leads: QuerySet[Lead]) -> QuerySet[Lead]:
        """Those of the leads that are meant."""
        if self.statuses:
            leads = leads.filter(status__in=self.statuses)
        if self.sources:
            leads = leads.filter(source__in=self.sources)
        if self.bands:
            scores = [range(BANDS[band][0], BANDS[band][1] + 1) for band in self.bands]
            leads = leads.filter(score__in=[score for some in scores for score in some])
        return leads

    def in_words(self) -> list[str]:
        """A line for each thing that is asked for; one that says "all" where nothing is."""
        lines = []
        for label, names, values in (
            (_("Status"), dict(LeadStatus.choices), self.statuses),
            (_("Source"), dict(LeadSource.choices), self.sources),
            (_("Score"), BAND_LABELS, self.bands),
        ):
            if values:
                lines.append(f"{label}: {', '.join(str(names.get(value, value)) for value in values)}")
        return lines or [_("All leads")]
