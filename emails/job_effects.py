"""The mails that jobs sent, or are to send, for the pages of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs import CausedJob, JobEffect

from .models import EmailMessage

_PARAMETER = "message_id"


def find(jobs: Sequence[CausedJob]) -> Iterator[JobEffect]:
    """Each mail whose id is an argument of one of the jobs."""
    by_mail = {str(job.arguments[_PARAMETER]): job for job in jobs if _PARAMETER in job.arguments}
    for mail in EmailMessage.objects.filter(pk__in=list(by_mail)).defer("text", "html"):
        state = str(mail.get_delivery_display() if mail.delivery else mail.get_state_display())
        yield JobEffect(mail, state, mail.delivery_at or mail.sent_at or mail.created_at, by_mail[str(mail.pk)].id)
