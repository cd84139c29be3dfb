"""What is erased of a lead, kind by kind. Other apps register theirs; `leads` asks nobody.

Rows stay, emptied: that a mail was sent, a delivery made, a form filled in, and when, is no personal data. See
docs/operations.md for what stays and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from jobs import Erased, Subject, erase_jobs

from .models import Lead

SHORTEST_TEXT = 6
#: Rows that one transaction changes.
PIECE = 500


@dataclass(frozen=True)
class Found:
    """The lead, and all that was found of it: rows that jobs may carry, texts that name the person."""

    lead: Lead
    subjects: Sequence[Subject]
    texts: Sequence[str]

    @property
    def long_texts(self) -> list[str]:
        """Those that can be looked for everywhere: a first name would be found in other people's rows."""
        return [text for text in self.texts if len(text) >= SHORTEST_TEXT]


def nothing(found: Found) -> int:
    """What a part does that has nothing to do here."""
    return 0


@dataclass(frozen=True)
class ErasurePart:
    """One kind of rows that hold a lead's personal data; all its functions may run again.

    `erase` empties the rows that an index finds, and returns how many there are; it runs in one transaction with all
    other parts, with the lead locked. `sweep` does so with rows that only a look through the whole table finds, before
    that and outside of it, so that nobody waits: see `change_in_pieces`. It leaves alone what `subjects` or `texts`
    come from: an erasure that is repeated looks for it again. `subjects` are the rows as jobs carry them, `texts` what
    in them names the person.
    """

    name: str
    erase: Callable[[Found], int] = nothing
    sweep: Callable[[Found], int] = nothing
    subjects: Callable[[Lead], Iterable[Subject]] = field(default=lambda lead: ())
    texts: Callable[[Lead], Iterable[str]] = field(default=lambda lead: ())


@dataclass
class _Registry:
    parts: dict[str, ErasurePart] = field(default_factory=dict)


registry = _Registry()


def register_part(part: ErasurePart) -> None:
    """Add a kind of rows; its name must be free."""
    if registry.parts.setdefault(part.name, part) != part:
        raise ValueError(f"the erasure part {part.name!r} is registered already; give it another name")


def change_in_pieces(rows: QuerySet[Any], keys: Iterable[Any], change: Callable[[QuerySet[Any]], int]) -> int:
    """Change those of the rows that have these keys, in short transactions; returns the sum of `change`.

    The keys were found by reading: a statement that looks for its rows and changes them keeps others from writing as
    long as it looks. A row that is none of `rows` any more is left alone.
    """
    keys, changed = list(keys), 0
    for start in range(0, len(keys), PIECE):
        with transaction.atomic():
            changed += change(rows.filter(pk__in=keys[start : start + PIECE]))
    return changed


def erase_marked(
    lead_id: UUID,
    finish: Callable[[list[UUID]], object],
    *,
    spare: Sequence[str],
    known: Sequence[UUID] = (),
    mentions: Sequence[str] = (),
) -> Erased:
    """Erase a lead that was marked as erased: first from jobs, then from rows; harmless to repeat.

    The lead's own rows come last, because they tell what to look for: if the process dies in between, all of it is
    found again. `known` are jobs that were found before; where others still run, `finish` is to enqueue a job that
    erases them later, since nothing tells any more that they are the lead's. `spare` names tasks whose jobs stay,
    `mentions` further texts that jobs may hold.
    """
    lead = Lead.objects.get(pk=lead_id, erased_at__isnull=False)
    parts = list(registry.parts.values())
    subjects = [Subject(Lead._meta.label_lower, str(lead.id))]
    texts = {lead.name, lead.email, lead.phone}
    for part in parts:
        subjects.extend(part.subjects(lead))
        texts.update(part.texts(lead))
    found = Found(lead, subjects, sorted(texts - {""}))
    erased = erase_jobs(subjects, [*found.texts, *mentions], spare=spare, known=known)
    swept = {part.name: part.sweep(found) for part in parts}
    with transaction.atomic():
        Lead.objects.select_for_update().get(pk=lead_id)
        rows = {part.name: swept[part.name] + part.erase(found) for part in parts}
        if not set(erased.running) <= set(known):
            finish(list(erased.running))
    return Erased(erased.jobs, erased.cancelled, erased.mentions, erased.running, rows)
