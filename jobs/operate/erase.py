"""Erasing one person's data (DESIGN G13): what of an object may stand in jobs, and who erases the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from ..errors import InvalidOption, UnknownObject
from ..history.about import jobs_about
from . import traces
from .subjects import SHORTEST_TEXT, Erased, Subject

Eraser = Callable[[str, Sequence[str]], Erased]
_erasers: dict[str, Eraser] = {}


def register_eraser(label: str, erase: Eraser) -> None:
    """Let `jobs erase --object` erase objects of this model by `erase`.

    It gets the primary key as text and the texts of `--mention`; it erases the product's rows, and calls `erase_jobs`
    with the texts too. The object may be gone, while jobs are still about it. Raises `InvalidOption` if the model has
    another eraser.
    """
    if _erasers.setdefault(label, erase) is not erase:
        raise InvalidOption(f"an eraser for {label!r} is registered already")


def erase_object(label: str, id: str, mentions: Sequence[str] = ()) -> Erased:
    """Erase an object by its registered eraser; without one, only the jobs about it, or with one of the texts."""
    eraser = _erasers.get(label)
    return eraser(id, mentions) if eraser else erase_jobs([Subject(label, id)], mentions)


def erase_jobs(
    subjects: Collection[Subject],
    texts: Collection[str] = (),
    *,
    spare: Collection[str] = (),
    known: Collection[UUID] = (),
) -> Erased:
    """Erase from jobs and attempts what they hold of these objects; that a job ran, when, and how it ended, stays.

    A job is theirs if it is about one, or carries the id of one in the parameter that is called so, or one of the
    `texts` in its arguments or key. Theirs are cancelled where they wait or are dead letters, asked to cancel where
    they run, and emptied: arguments, key, result, errors, tracebacks, reason. From other jobs' errors, reasons and
    results each of the `texts` is taken out; texts shorter than 6 characters are not looked for. `spare` names tasks
    whose jobs are never theirs; `known` are jobs that are theirs, however little of that can be seen.

    Works in short transactions over the whole table. What runs is emptied only when it has ended: repeat it, with what
    was `running` as `known`, until none is. Raises `InvalidOption` for what is no collection of these; with the jobs in
    Redis also `BrokerAway` where not all of them can be found, and `Refused` inside a transaction.
    """
    if not _several(subjects, Subject):
        raise InvalidOption(f"erase_jobs({subjects!r}): expected several subjects: write [Subject(label, id)]")
    if not _several(texts, str):
        # what they hold is not to stand in a log
        raise InvalidOption("erase_jobs: texts= takes several texts: write ['one']")
    wanted = sorted({text for text in texts if len(text) >= SHORTEST_TEXT}, key=len, reverse=True)
    return traces.erase(list(subjects), wanted, frozenset(spare), known)


def _several(given: object, kind: type) -> bool:
    return isinstance(given, Collection) and not isinstance(given, str) and all(isinstance(one, kind) for one in given)


def find_object(text: str) -> tuple[str, str]:
    """(model label, primary key) of `lead:ID` or `leads.lead:ID`; raises `InvalidOption` and `UnknownObject`."""
    label, _colon, id = text.partition(":")
    label = label.lower()
    found = [model for model in apps.get_models() if label in (model._meta.label_lower, model._meta.model_name)]
    if not id or len(found) != 1:
        known = ", ".join(sorted(model._meta.label_lower for model in found)) or ", ".join(sorted(_erasers)) or "none"
        refusal = _(
            "object %(object)s: expected a model's label and an id, like leads.lead:ID; labels that fit: %(known)s"
        )
        raise InvalidOption(refusal % {"object": repr(text), "known": known})
    return found[0]._meta.label_lower, _known_key(found[0], id, text)


def _known_key(model: type[models.Model], id: str, text: str) -> str:
    try:
        key = model._meta.pk.to_python(id)
    except ValidationError as error:
        refusal = _("object %(object)s: %(id)s is no id of a %(model)s")
        raise InvalidOption(
            refusal % {"object": repr(text), "id": repr(id), "model": model._meta.model_name}
        ) from error
    reference = (model._meta.label_lower, str(key))
    if not model._base_manager.filter(pk=key).exists() and not jobs_about(reference).exists():
        refusal = _("object %(object)s: there is no %(model)s with this id, and no job about it")
        raise UnknownObject(refusal % {"object": repr(text), "model": model._meta.model_name})
    return str(key)
