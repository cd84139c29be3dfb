"""The list as a CSV file."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import sight
from accounts.member_pages import member_page, person_of
from accounts.models import User
from admin_lists.counts import capped_count

from ..exporting import COLUMNS, USUAL, export_rows
from ..models import Lead
from .choosing import MOST, TABS, Choice
from .sending import csv_response

logger = logging.getLogger(__name__)
EXPORT = "leads.export_lead"
COMMA, SEMICOLON = ",", ";"


class ExportForm(forms.Form):
    """Which columns, and written how."""

    columns = forms.MultipleChoiceField(
        label=gettext_lazy("Columns"), choices=list(COLUMNS.items()), widget=forms.CheckboxSelectMultiple
    )
    delimiter = forms.ChoiceField(
        label=gettext_lazy("Separator"),
        choices=[(COMMA, gettext_lazy("comma")), (SEMICOLON, gettext_lazy("semicolon"))],
        help_text=gettext_lazy("Excel in Portuguese expects a semicolon."),
    )
    bom = forms.BooleanField(label=gettext_lazy("For Excel: mark the file as UTF-8"), required=False, initial=True)

    def clean_columns(self) -> list[str]:
        """In the order of the file."""
        return [name for name in COLUMNS if name in self.cleaned_data["columns"]]


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def export(request: HttpRequest) -> HttpResponseBase:
    """Ask for the columns of the leads that the address chooses; on POST the file."""
    person = person_of(request)
    if not sight.may_somewhere(person, EXPORT):
        raise PermissionDenied
    choice = Choice(person, request.GET, permission=EXPORT)
    initial = {"columns": USUAL, "delimiter": SEMICOLON if (get_language() or "").startswith("pt") else COMMA}
    form = ExportForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        _log(person, choice, form.cleaned_data["columns"])
        name = f"{_('leads')}-{timezone.localdate():%Y-%m-%d}.csv"
        columns = form.cleaned_data["columns"]
        return csv_response(
            request,
            name,
            lambda: export_rows(columns, choice.every_lead()),
            delimiter=form.cleaned_data["delimiter"],
            bom=form.cleaned_data["bom"],
        )
    context = {
        "form": form,
        "tab": TABS[choice.tab],
        "chosen": _words(choice),
        "count": capped_count(choice.rows, MOST),
        "address": choice.address(reverse("leads:export")),
        "list_address": choice.address(reverse("leads:list")),
    }
    return render(request, "leads/pages/export.html", context, status=400 if form.is_bound else 200)


def _words(choice: Choice) -> list[tuple[str, str]]:
    """What the list is narrowed down by, as the page says it."""
    words = []
    for name, value in choice.chosen.items():
        field: Any = choice.form.fields[name]
        labels = {str(key): str(label) for key, label in getattr(field, "choices", ())}
        words.append((str(field.label), labels.get(str(value), str(value))))
    return words


def _log(person: User, choice: Choice, columns: list[str]) -> None:
    """Note who took which leads out; what was searched for may be a person's name, and is not noted."""
    narrowed = ", ".join(f"{name}={value}" for name, value in choice.chosen.items() if name != "q")
    text = f"exported: show={choice.tab}{', ' if narrowed else ''}{narrowed}; columns: {', '.join(columns)}"
    if "q" in choice.chosen:
        text += "; a search"
    LogEntry.objects.create(
        user_id=person.pk,
        content_type=ContentType.objects.get_for_model(Lead),
        object_id=None,
        object_repr=str(Lead._meta.verbose_name_plural)[:200],
        action_flag=CHANGE,
        change_message=text,
    )
    logger.info("leads_exported user=%s show=%s columns=%s", person.pk, choice.tab, len(columns))
