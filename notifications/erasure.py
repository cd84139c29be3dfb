"""What `notifications` holds of a lead, and how it is emptied."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from jobs import Subject
from leads.erasing import ErasurePart, Found, change_in_pieces, register_part
from leads.models import Lead

from .models import Notification, SmsMessage


def empty_sms(found: Found) -> int:
    """Number and text of what was sent to the lead, and the provider's receipt."""
    rows = SmsMessage.objects.filter(lead=found.lead)
    key = Concat(Value("erased:"), Cast(F("pk"), CharField()))
    return SmsMessage.withdraw(rows, key=key, to="", text="", receipt="")


def empty_notifications(found: Found) -> int:
    """Title and message of each line about the lead, and of any other that names the person."""
    condition = Q(action_url=found.lead.get_absolute_url()) & ~Q(message="")
    for text in found.long_texts:
        condition |= Q(title__icontains=text) | Q(message__icontains=text)
    rows = Notification.objects.filter(condition)
    return change_in_pieces(rows, rows.values_list("pk", flat=True), lambda piece: piece.update(title="", message=""))


def notifications_of(lead: Lead) -> QuerySet[Notification]:
    """The lines that lead to the lead's page."""
    return Notification.objects.filter(action_url=lead.get_absolute_url())


def subjects_of_sms(lead: Lead) -> Iterable[Subject]:
    """The text messages as jobs carry them."""
    for pk in SmsMessage.objects.filter(lead=lead).values_list("pk", flat=True):
        yield Subject(SmsMessage._meta.label_lower, str(pk), "sms_id")


def subjects_of_notifications(lead: Lead) -> Iterable[Subject]:
    """The lines as jobs carry them."""
    for pk in notifications_of(lead).values_list("pk", flat=True):
        yield Subject(Notification._meta.label_lower, str(pk))


def texts_of_sms(lead: Lead) -> Iterable[str]:
    """The numbers that the lead was written to, also earlier ones."""
    return SmsMessage.objects.filter(lead=lead).values_list("to", flat=True).distinct()


def register() -> None:
    """Register the parts; called once, when the app is ready."""
    register_part(ErasurePart("notifications.smsmessage", empty_sms, subjects=subjects_of_sms, texts=texts_of_sms))
    register_part(
        ErasurePart("notifications.notification", sweep=empty_notifications, subjects=subjects_of_notifications)
    )
