"""More about a lead than it told. One file a provider; `ENRICHMENT_PROVIDER` names the class that is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

#: What it is called among the providers, whose calls are counted.
ENRICHMENT = "enrichment"
#: The provider that asks nobody.
LOCAL = "local"
DEFAULT = "leads.enrichment.local.LocalEnrichment"


@dataclass(frozen=True)
class Question:
    """What a provider is told of a lead."""

    email: str = ""
    phone: str = ""
    company: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing found, and where it was found."""

    field: str
    value: Any
    origin: str


class EnrichmentProvider(Protocol):
    """Answers with what it finds; no findings is an answer too."""

    name: str

    def look_up(self, question: Question) -> list[Finding]:
        """What is known of this person or company.

        Raises `RetryLater` when told to slow down, `PermanentError` for what will never work, and anything else when
        another try may help.
        """
        ...


def enrichment_provider() -> EnrichmentProvider:
    """The provider that the settings name."""
    provider: EnrichmentProvider = import_string(getattr(settings, "ENRICHMENT_PROVIDER", DEFAULT))()
    return provider
