"""Do one of the things that a person can do with a lead, by whichever page, and note in the log who did it."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.http import Http404

from accounts import sight
from accounts.models import User

from .lead_page import ERASE
from .models import Lead
from .panels import LeadAction, registry


def actions_of(lead: Lead) -> Sequence[LeadAction]:
    """What can be done with the lead; an erased one can only be erased again."""
    return [one for one in registry.actions.values() if lead.erased_at is None or one.name == ERASE]


def actions_for(lead: Lead, person: User) -> dict[str, LeadAction]:
    """What this person can do with the lead, by name."""
    return {one.name: one for one in actions_of(lead) if sight.may(person, one.permission, lead.organization_id)}


def form_of(action: LeadAction, lead: Lead) -> type[forms.Form]:
    """What the action needs to know."""
    return action.form(lead) if action.form else forms.Form


def act(action: LeadAction, lead: Lead, person: User, form: forms.Form) -> str:
    """Do it; returns the sentence that says what was done, empty if it was refused: the form says why.

    Raises `Http404` if the lead was erased or deleted since it was read.
    """
    if not form.is_valid():
        return ""
    try:
        done = action.perform(lead, person, form.cleaned_data)
    except ValidationError as error:
        form.add_error(None, error)
        return ""
    except Lead.DoesNotExist:
        raise Http404 from None
    # as it is now: the log must not keep the name of somebody who was just erased
    lead.refresh_from_db()
    LogEntry.objects.log_actions(
        user_id=person.pk,
        queryset=[lead],
        action_flag=CHANGE,
        change_message=f"{action.label}: {done}",
        single_object=True,
    )
    return done
