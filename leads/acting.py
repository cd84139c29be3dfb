"""Do one of the things that a person can do with a lead, by whichever page, and note in the log who did it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from accounts import sight
from accounts.models import User

from .lead_page import ERASE
from .models import Lead
from .panels import LeadAction, registry


def actions_for(lead: Lead, person: User) -> dict[str, LeadAction]:
    """What this person can do with the lead, by name."""
    return {name: one for name, one in _actions_of(lead).items() if _may(person, one, lead)}


def action_for(lead: Lead, person: User, name: str) -> LeadAction:
    """The one of this name; raises `Http404` if nothing of the kind can be done, `PermissionDenied` if by others."""
    action = _actions_of(lead).get(name)
    if action is None:
        raise Http404
    if not _may(person, action, lead):
        raise PermissionDenied
    return action


def form_of(action: LeadAction, lead: Lead) -> type[forms.Form]:
    """What the action needs to know."""
    return action.form(lead) if action.form else forms.Form


def act(action: LeadAction, lead: Lead, person: User, form: forms.Form) -> str:
    """Do it; returns the sentence that says what was done, empty if it was refused: the form says why.

    Raises `Http404` if the lead was erased or deleted since it was read.
    """
    if not form.is_valid():
        return ""
    with still_there():
        try:
            done = action.perform(lead, person, form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
            return ""
        # as it is now: the log must not keep the name of somebody who was just erased
        lead.refresh_from_db()
    log(person, lead, CHANGE, f"{action.label}: {done}")
    return done


@contextmanager
def still_there() -> Iterator[None]:
    """Inside it a lead that was erased or deleted since it was read is one that is not found: raises `Http404`."""
    try:
        yield
    except Lead.DoesNotExist:
        raise Http404 from None


def log(person: User, lead: Lead, flag: int, text: str = "") -> None:
    """Note in the admin's log that the person has added or changed the lead."""
    LogEntry.objects.log_actions(
        user_id=person.pk, queryset=[lead], action_flag=flag, change_message=text, single_object=True
    )


def _actions_of(lead: Lead) -> dict[str, LeadAction]:
    """What can be done with the lead; an erased one can only be erased again."""
    return {name: one for name, one in registry.actions.items() if lead.erased_at is None or name == ERASE}


def _may(person: User, action: LeadAction, lead: Lead) -> bool:
    return sight.may(person, action.permission, lead.organization_id)
