"""Who is notified of which event."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import translation
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs import receives
from leads.events import (
    LeadAssigned,
    LeadCreated,
    LeadGrewStale,
    LeadReturned,
    LeadsImported,
    lead_assigned,
    lead_created,
    lead_grew_stale,
    lead_returned,
    leads_imported,
)
from leads.models import ImportState, Lead, LeadImport
from leads.recipients import member_to_tell, people_to_tell

from . import services
from .events import NotificationCreated, notification_created
from .models import Channel, Notification, PushDevice
from .tasks import create_notification, send_push_notification, send_sms
from .wishes import quiet_until, wishes_of


@receives(lead_created, starts=[create_notification])
def notify_of_new_lead(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """The assignee learns of a new lead; where nobody looks after it, it is urgent for whoever does hear."""
    _notify(event, event.assigned_to, _("New lead for you"), _("New lead without an assignee"))


@receives(lead_returned, starts=[create_notification])
def notify_of_returned_lead(sender: Any, event: LeadReturned, **kwargs: Any) -> None:
    """A known lead wrote again: the assignee learns of it; where nobody looks after the lead, it is urgent."""
    assignee_id = Lead.objects.values_list("assignee_id", flat=True).get(pk=event.lead_id)
    _notify(event, assignee_id, _("One of your leads wrote again"), _("An unassigned lead wrote again"))


@receives(lead_assigned, starts=[create_notification])
def notify_of_assigned_lead(sender: Any, event: LeadAssigned, **kwargs: Any) -> None:
    """The new assignee learns of the lead; where nobody looks after it any more, whoever does hear."""
    unassigned = Notification.Kind.WARNING
    _notify(event, event.assignee_id, _("A lead was assigned to you"), _("This lead is now unassigned"), unassigned)


@receives(lead_grew_stale, starts=[create_notification])
def notify_of_stale_lead(sender: Any, event: LeadGrewStale, **kwargs: Any) -> None:
    """The assignee learns that a lead waits; where they have left, whoever does hear."""
    text = _("One of your leads has not been touched for a long time")
    to_others = _("A lead whose assignee has left has not been touched for a long time")
    _notify(event, event.assignee_id, text, to_others, Notification.Kind.WARNING)


@receives(leads_imported, starts=[create_notification])
def notify_of_import(sender: Any, event: LeadsImported, **kwargs: Any) -> None:
    """Who brought a file learns how it ended, and who gets its leads that they are there: one line each."""
    done = LeadImport.objects.get(pk=event.import_id)
    titles = {
        ImportState.CANCELLED: _("The import was cancelled: %(created)s new leads, %(updated)s updated"),
        ImportState.FAILED: _("The import stopped early: %(created)s new leads, %(updated)s updated"),
    }
    title = titles.get(ImportState(done.state), _("The import is done: %(created)s new leads, %(updated)s updated"))
    kind = Notification.Kind.WARNING if done.state == ImportState.FAILED else Notification.Kind.INFO
    told = {done.created_by_id: (title, reverse("leads:import", args=[done.pk]), kind)}
    if done.created:
        to_assignee = (_("An import assigned leads to you: %(created)s"), reverse("leads:list"), Notification.Kind.INFO)
        told.setdefault(done.assignee_id, to_assignee)
    for user_id, (text, page, of_kind) in told.items() if done.notify else ():
        person = member_to_tell(event.organization_id, user_id)
        if person is None:
            continue
        with translation.override(person.language):
            counts = {name: number_format(getattr(done, name), force_grouping=True) for name in ("created", "updated")}
            services.notify(person.user_id, str(text) % counts, action_url=page, kind=of_kind, event_id=event.event_id)


@receives(notification_created, starts=[send_push_notification])
def push_to_devices(sender: Any, event: NotificationCreated, **kwargs: Any) -> None:
    """Who has a device gets the news there too, unless they want none of this kind; not in their quiet hours."""
    wishes = wishes_of(event.user_id)
    if wishes.wants(Channel.PUSH, event.kind) and PushDevice.objects.filter(user_id=event.user_id).exists():
        services.push_notification(event.notification_id, at=quiet_until(wishes))


@receives(notification_created, starts=[send_sms])
def text_news(sender: Any, event: NotificationCreated, **kwargs: Any) -> None:
    """Who asked for it gets news of this kind as a text message; not in their quiet hours."""
    wishes = wishes_of(event.user_id)
    if wishes.phone and wishes.wants(Channel.SMS, event.kind):
        notification = Notification.objects.get(pk=event.notification_id)
        services.send_sms_of_notification(notification, wishes.phone, at=quiet_until(wishes))


def _notify(
    event: LeadCreated | LeadReturned | LeadAssigned | LeadGrewStale,
    assignee_id: UUID | None,
    to_assignee: Promise,
    to_others: Promise,
    unassigned: Notification.Kind = Notification.Kind.URGENT,
) -> None:
    """Tell the assignee, or whoever hears in place of one, in the language of each."""
    for person in people_to_tell(event.organization_id, assignee_id):
        is_assignee = person.user_id == assignee_id
        with translation.override(person.language):
            services.notify(
                person.user_id,
                str(to_assignee if is_assignee else to_others),
                action_url=reverse("leads:lead", args=[event.lead_id]),
                kind=Notification.Kind.INFO if is_assignee else unassigned,
                event_id=event.event_id,
                lead_id=event.lead_id,
            )
