"""The mail that tells ADMINS of a cause of dead letters: without values, and without making the keeper wait."""

from __future__ import annotations

import logging
import threading

from django.core import mail
from django.utils.translation import gettext as _

from ..signals import DeadLetters
from ..visible import visible

logger = logging.getLogger("jobs.keeper")

#: The mail that is on its way: a server that does not answer holds up no duty, and one mail only.
_sending: threading.Thread | None = None


def mail_admins(news: DeadLetters) -> threading.Thread | None:
    """Mail it, in a thread of its own; None where the mail before is still on its way, and the log says so."""
    global _sending
    if _sending is not None and _sending.is_alive():
        logger.error("alert_not_mailed cause=%s: the mail before it is still on its way", news.cause)
        return None
    subject, text = words(news)
    _sending = threading.Thread(target=_send, args=(news.cause, subject, text), name="jobs-mail", daemon=True)
    _sending.start()
    return _sending


def words(news: DeadLetters) -> tuple[str, str]:
    """The mail's subject and text."""
    values = {
        "count": f"{news.count:,}{'+' if news.more else ''}",
        "task": visible(" ".join(news.task.split())),
        "queue": news.queue,
        "error": visible(news.error),
        "first": f"{news.first_at:%Y-%m-%d %H:%M} UTC",
        "last": f"{news.last_at:%Y-%m-%d %H:%M} UTC",
        "release": visible(news.release) or "–",
        "first_release": visible(news.first_release) or "–",
        "command": f"manage.py jobs dead {news.cause}",
    }
    subject = _("dead letters: %(task)s (%(count)s)") % values
    text = _(
        "%(task)s on the queue %(queue)s has failed for good and waits for a person.\n\n"
        "Error: %(error)s\n"
        "Dead letters of this cause: %(count)s\n"
        "First: %(first)s, release %(first_release)s\n"
        "Last: %(last)s, release %(release)s\n\n"
        "Values are left out of the error. To see more: %(command)s\n"
        "You hear of this cause again in an hour at the earliest."
    )
    return subject, text % values


def _send(cause: str, subject: str, text: str) -> None:
    try:
        mail.mail_admins(subject, text)
    except Exception as error:
        logger.error("alert_not_mailed cause=%s %s: %s", cause, type(error).__name__, visible(str(error)))
