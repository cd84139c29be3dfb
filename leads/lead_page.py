"""What `leads` itself offers on a lead's page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import sight
from accounts.members import active_members
from accounts.models import User
from accounts.navigation import Place, register_place
from jobs import BrokerAway

from . import services
from .crm import is_connected
from .models import ConsentAct, ConsentPurpose, ConsentSource, Lead, LeadStatus
from .panels import LeadAction, LeadStep, register_action, register_step

#: The one action that an erased lead still has.
ERASE = "erase"
_MAY_RECORD = "leads.record_consent"
_ERASE_WARNING = gettext_lazy(
    "Name, addresses, messages, notes, mails and whatever else names this person is erased, here and in all jobs; jobs "
    "about the lead are cancelled. This cannot be undone. What a connected CRM or a mailbox has got stays there."
)


def _assign_form(lead: Lead) -> type[forms.Form]:
    members = active_members(lead.organization_id).select_related("user")
    people = [(str(member.user_id), member.user.shown_name) for member in members]

    class AssignForm(forms.Form):
        assignee = forms.ChoiceField(
            label=_("Assignee"),
            choices=[("", _("nobody")), *sorted(people, key=lambda choice: choice[1])],
            required=False,
            initial=str(lead.assignee_id or ""),
        )

    return AssignForm


def _assign(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    assignee_id = UUID(data["assignee"]) if data["assignee"] else None
    assigned = services.assign_lead(lead.id, lead.organization_id, assignee_id, actor=person)
    if assigned.assignee is None:
        return _("Nobody looks after the lead now.")
    return _("%(name)s looks after the lead now.") % {"name": assigned.assignee.shown_name}


def _status_form(lead: Lead) -> type[forms.Form]:
    class StatusForm(forms.Form):
        status = forms.ChoiceField(label=_("Status"), choices=LeadStatus.choices, initial=lead.status)

    return StatusForm


def _change_status(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    changed = services.change_lead_status(lead.id, lead.organization_id, data["status"], actor=person)
    return _("The status is now: %(status)s.") % {"status": changed.get_status_display()}


def _note_form(lead: Lead) -> type[forms.Form]:
    class NoteForm(forms.Form):
        text = forms.CharField(label=_("Note"), max_length=10_000, widget=forms.Textarea(attrs={"rows": 5}))

    return NoteForm


def _add_note(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    services.add_note(lead, data["text"], actor=person)
    return _("The note was added.")


def _sync(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    handle = services.sync_lead_to_crm(lead.id, lead.organization_id)
    if handle is None:
        raise ValidationError(_("The CRM has this version of the lead already."))
    if not is_connected(lead.organization):
        return _("No CRM is connected: the delivery is only recorded here.")
    return _("The lead is being sent to the CRM.")


def _consent_form(lead: Lead) -> type[forms.Form]:
    unsubscribed = lead.unsubscribed_at is not None

    class ConsentForm(forms.Form):
        purposes = forms.MultipleChoiceField(
            label=_("The lead agrees to"), choices=ConsentPurpose.choices, widget=forms.CheckboxSelectMultiple
        )
        source = forms.ChoiceField(
            label=_("Source"),
            choices=[(one.value, one.label) for one in (ConsentSource.STAFF, ConsentSource.IMPORT)],
        )
        wording = forms.CharField(
            label=_("Wording"),
            help_text=_("What the lead agreed to, in which words, and how: by phone, on paper …"),
            max_length=2_000,
            widget=forms.Textarea(attrs={"rows": 4}),
        )
        at = forms.DateTimeField(label=_("When"), required=False, help_text=_("Leave empty for now."))
        if unsubscribed:
            resubscribe = forms.BooleanField(
                label=_("The lead said so after it had unsubscribed. Count it without asking by email."),
                required=False,
            )

    return ConsentForm


def _record_consent(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    lines = services.record_consent(
        lead.id,
        lead.organization_id,
        [ConsentPurpose(value) for value in data["purposes"]],
        source=ConsentSource(data["source"]),
        wording=data["wording"],
        at=data["at"],
        resubscribe=data.get("resubscribe", False),
        actor=person,
    )
    if any(line.act == ConsentAct.ASKED for line in lines):
        return _("The lead unsubscribed before: the consent counts once the lead has confirmed it by email.")
    return _("The consent was recorded.")


def _withdraw_form(lead: Lead) -> type[forms.Form]:
    class WithdrawForm(forms.Form):
        what = forms.ChoiceField(
            label=_("The lead no longer wants"),
            choices=[("marketing", _("news and offers")), ("all", _("any mail or text message"))],
            widget=forms.RadioSelect,
        )
        wording = forms.CharField(
            label=_("Note"), max_length=2_000, required=False, widget=forms.Textarea(attrs={"rows": 3})
        )

    return WithdrawForm


def _withdraw_consent(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    if data["what"] == "all":
        if lead.unsubscribed_at is not None:
            raise ValidationError(_("The lead has already unsubscribed."))
        services.unsubscribe_lead(lead.id, source=ConsentSource.STAFF, wording=data["wording"], actor=person)
        return _("The lead is unsubscribed.")
    services.withdraw_marketing_consent(lead.id, lead.organization_id, wording=data["wording"], actor=person)
    return _("The lead gets no more news and offers.")


def _erase(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    try:
        erased = services.erase_lead(lead.id, actor=person)
    except BrokerAway as error:
        # a job that was enqueued before does it; where the jobs are kept is not the organization's business
        text = _("The lead counts as erased. Its jobs cannot be reached now: once they can, all is erased.")
        raise ValidationError(text) from error
    if not erased.running:
        return _("The personal data was erased.")
    text = ngettext(
        "The personal data was erased; %(count)d job still runs and is erased when it has ended.",
        "The personal data was erased; %(count)d jobs still run and are erased when they have ended.",
        len(erased.running),
    )
    return text % {"count": len(erased.running)}


def _sees_leads(user: User) -> bool:
    return sight.may_somewhere(user, "leads.view_lead")


def register() -> None:
    """Register actions, next steps and the entry in the head; called once, when the app is ready."""
    for action in (
        LeadAction("assign", gettext_lazy("Assign"), "leads.assign_lead", _assign, _assign_form),
        LeadAction("status", gettext_lazy("Change status"), "leads.change_lead_status", _change_status, _status_form),
        LeadAction("note", gettext_lazy("Add a note"), "leads.add_note", _add_note, _note_form),
        LeadAction("sync", gettext_lazy("Send to the CRM"), "leads.sync_lead", _sync),
        LeadAction("consent", gettext_lazy("Record consent"), _MAY_RECORD, _record_consent, _consent_form),
        LeadAction("withdraw", gettext_lazy("Withdraw consent"), _MAY_RECORD, _withdraw_consent, _withdraw_form),
        LeadAction(ERASE, gettext_lazy("Erase personal data"), "leads.erase_lead", _erase, warning=_ERASE_WARNING),
    ):
        register_action(action)
    for task, text in (
        ("leads.enrich_lead_data", gettext_lazy("More information is looked up")),
        ("leads.calculate_lead_score", gettext_lazy("The score is calculated again")),
        ("leads.sync_to_crm", gettext_lazy("The lead is sent to the CRM")),
    ):
        register_step(LeadStep(task, text))
    register_place(Place("leads", gettext_lazy("Leads"), "leads:list", order=10, shown_to=_sees_leads))
