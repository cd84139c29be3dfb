"""Where other apps add to a lead's page: actions, panels, lines of the timeline. They register; `leads` asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.utils.functional import Promise

from .models import Lead


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a lead's timeline."""

    at: datetime
    kind: str
    text: str
    who: str = ""


@dataclass(frozen=True)
class LeadAction:
    """Something that a person with the permission can do with a lead; done by POST only.

    `perform` gets the lead, the person and the form's cleaned data, and returns a sentence that says what was done;
    it raises `ValidationError` to refuse. `form` makes the form's class for a lead; `warning` says what cannot be
    undone.
    """

    name: str
    label: str | Promise
    permission: str
    perform: Callable[[Lead, AbstractBaseUser, dict[str, Any]], str]
    form: Callable[[Lead], type[forms.Form]] | None = None
    warning: str | Promise = ""


@dataclass(frozen=True)
class LeadPanel:
    """A box on the lead's page: a template, and what it shows."""

    title: str | Promise
    template: str
    context: Callable[[Lead], dict[str, Any]]


@dataclass(frozen=True)
class LeadStep:
    """What a job of the task is going to do for the lead that it waits for; `holds`: whether it will, as things are."""

    task: str
    text: str | Promise
    holds: Callable[[Lead], bool] = lambda lead: True


@dataclass
class _Registry:
    actions: dict[str, LeadAction] = field(default_factory=dict)
    panels: list[LeadPanel] = field(default_factory=list)
    timelines: list[Callable[[Lead], Iterable[TimelineEntry]]] = field(default_factory=list)
    steps: dict[str, LeadStep] = field(default_factory=dict)


registry = _Registry()


def register_action(action: LeadAction) -> None:
    """Add an action; its name must be free."""
    if registry.actions.setdefault(action.name, action) != action:
        raise ValueError(f"the lead action {action.name!r} is registered already; give it another name")


def register_panel(panel: LeadPanel) -> None:
    """Add a panel."""
    if panel not in registry.panels:
        registry.panels.append(panel)


def register_timeline(source: Callable[[Lead], Iterable[TimelineEntry]]) -> None:
    """Add a source of timeline entries; it gives at most about a hundred, its newest."""
    if source not in registry.timelines:
        registry.timelines.append(source)


def register_step(step: LeadStep) -> None:
    """Add what stands under "Next step" while such a job waits; its task must have no other."""
    if registry.steps.setdefault(step.task, step) != step:
        raise ValueError(f"the step of {step.task!r} is registered already")
