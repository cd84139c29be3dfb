"""What is asked when a file of leads is brought in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import ask_for_organization
from accounts.members import active_members
from accounts.models import Organization, User

from ..imports.fields import FIELDS
from ..models import LeadImport


class UploadForm(forms.Form):
    """A file, and whose leads it holds where there is a choice."""

    organization = forms.ModelChoiceField(label=gettext_lazy("Organization"), queryset=Organization.objects.none())
    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,text/csv,text/plain"}),
    )

    def __init__(self, *args: Any, organizations: QuerySet[Organization], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.only = ask_for_organization(self, organizations)
        self.fields["file"].help_text = _("At most %(size)s MB. The first line holds the names of the columns.") % {
            "size": settings.IMPORT_MAX_MB
        }

    def clean_file(self) -> Any:
        """Not larger than the setting says."""
        file = self.cleaned_data["file"]
        if file.size > settings.IMPORT_MAX_MB * 1_000_000:
            raise ValidationError(
                _("The file has %(size)s MB; at most %(most)s MB can be read. Split it into several."),
                params={"size": f"{file.size / 1_000_000:.1f}", "most": settings.IMPORT_MAX_MB},
            )
        return file

    @property
    def chosen_organization(self) -> Organization:
        """Whose leads the file holds."""
        chosen: Organization = self.only or self.cleaned_data["organization"]
        return chosen


class MappingForm(forms.ModelForm):  # type: ignore[type-arg]
    """What each column is, and what is done with the rows."""

    class Meta:
        model = LeadImport
        fields = ("known", "assignee", "source", "consent_evidence", "notify", "enrich")
        widgets = {"known": forms.RadioSelect, "consent_evidence": forms.Textarea(attrs={"rows": 2})}
        labels = {
            "known": gettext_lazy("Leads that you have already"),
            "assignee": gettext_lazy("Assign new leads to"),
            "source": gettext_lazy("Source, where the file names none"),
            "consent_evidence": gettext_lazy("How they agreed"),
            "notify": gettext_lazy("Notify me and the assignee once, when it has ended"),
            "enrich": gettext_lazy("Enrich each new lead afterwards and send it to the CRM"),
        }
        help_texts = {
            "known": gettext_lazy("A lead is known by its email address, without one by its phone number."),
            "consent_evidence": gettext_lazy(
                "Only for columns of consent: where and with which words they agreed, such as “Newsletter form on our "
                "website, May 2026”. Without consent nobody gets news and offers."
            ),
            "enrich": gettext_lazy("One job for each lead, in the background: this can take hours for a large file."),
        }

    def __init__(self, *args: Any, assign: bool, samples: list[list[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.assign = assign
        choices = [("", _("– leave out –")), *((name, label) for name, label in FIELDS.items())]
        if not assign:
            choices = [one for one in choices if one[0] != "assignee"]
        mapping = self.instance.mapping
        self.columns = [f"column_{at}" for at in range(len(self.instance.header))]
        for at, (name, label) in enumerate(zip(self.columns, self.instance.header, strict=True)):
            self.fields[name] = forms.ChoiceField(
                label=label, choices=choices, required=False, initial=mapping[at] if at < len(mapping) else ""
            )
        self.samples = samples
        known: Any = self.fields["known"]
        known.choices = [one for one in known.choices if one[0]]
        members: Any = self.fields["assignee"]
        if assign:
            members.queryset = User.objects.filter(
                pk__in=active_members(self.instance.organization_id).values("user_id")
            ).order_by("first_name", "last_name", "email")
            members.label_from_instance = lambda user: user.shown_name
            members.empty_label = _("nobody")
        else:
            del self.fields["assignee"]

    def rows(self) -> list[tuple[Any, list[str]]]:
        """Each column's field, with what stands in the file."""
        return [(self[name], sample) for name, sample in zip(self.columns, self.samples, strict=True)]

    def choices(self) -> list[Any]:
        """The other fields."""
        return [self[name] for name in self.fields if name not in self.columns]

    @property
    def mapping(self) -> list[str]:
        """What was chosen for each column."""
        return [self.cleaned_data.get(name, "") for name in self.columns]
