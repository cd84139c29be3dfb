"""A mail as its bytes: what stands in the envelope, and what inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage as Letter
from email.policy import SMTP
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from email_validator import EmailNotValidError, validate_email

from ..composing import Composed
from ..models import EmailMessage
from .outcomes import Misconfigured, Refused

#: The domain of an envelope's address: labels, or a literal like [192.0.2.1].
_DOMAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[A-Za-z0-9:.]+\]")


@dataclass(frozen=True)
class Mailbox:
    """An address as mail servers write it: its domain is in ASCII, its local part perhaps not."""

    local_part: str
    domain: str
    name: str = ""

    @property
    def address(self) -> str:
        """What goes into the envelope."""
        return f"{self.local_part}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can take it: a local part has no other spelling."""
        return not self.local_part.isascii()


def recipient_of(message: EmailMessage) -> Mailbox:
    """Whom the mail goes to; raises `Refused` for what no server can write to."""
    try:
        return _of_address(message.to)
    except ValueError as error:
        raise Refused(f"not an address that can be written to: {error}") from None


def sender_mailbox(composed: Composed) -> Mailbox:
    """Whom the mail comes from; raises `Misconfigured` when the setting holds no address."""
    try:
        return mailbox(sender_of(composed))
    except ValueError as error:
        raise Misconfigured(f"DEFAULT_FROM_EMAIL cannot be used: {error}") from None


def mailbox(value: str) -> Mailbox:
    """The mailbox that `value` ("a@b" or "Name <a@b>") names; raises `ValueError` that says what is wrong with it.

    A domain is spelt by IDNA 2008: by the older rules of Django and Python `straße.de` would be `strasse.de`, which
    belongs to somebody else.
    """
    name, address = parseaddr(value)
    return _of_address(address, name)


def sender_of(composed: Composed) -> str:
    """The sender as it is shown."""
    return composed.sender or settings.DEFAULT_FROM_EMAIL


def own_message_id(message: EmailMessage, composed: Composed) -> str:
    """The Message-ID header: the same at every try, so that a reader's program can see a repetition."""
    return f"<{message.id}@{sender_mailbox(composed).domain}>"


def as_django(composed: Composed, to: str, headers: Mapping[str, str]) -> EmailMultiAlternatives:
    """The mail as Django's backends take it."""
    outgoing = EmailMultiAlternatives(
        composed.subject,
        composed.text,
        sender_of(composed),
        [to],
        reply_to=[composed.reply_to] if composed.reply_to else None,
        headers=dict(headers),
    )
    outgoing.attach_alternative(composed.html, "text/html")
    return outgoing


def as_bytes(message: EmailMessage, composed: Composed, to: Mailbox, *, utf8: bool) -> bytes:
    """The mail as it is handed to a server; without `utf8` every byte of it is ASCII. Raises `Refused`."""
    try:
        return _letter(message, composed, to, utf8=utf8).as_bytes()
    except ValueError as error:
        raise Refused(f"the mail cannot be written: {error}") from error


def _letter(message: EmailMessage, composed: Composed, to: Mailbox, *, utf8: bool) -> Letter:
    letter = Letter(policy=SMTP.clone(utf8=utf8, cte_type="7bit"))
    letter["Subject"] = composed.subject
    letter["From"] = _shown(sender_mailbox(composed))
    letter["To"] = _shown(to)
    if composed.reply_to:
        letter["Reply-To"] = _shown(_reply_to(composed))
    letter["Date"] = datetime.now(UTC)
    letter["Message-ID"] = own_message_id(message, composed)
    for name, value in composed.headers.items():
        letter[name] = value
    letter.set_content(composed.text)
    letter.add_alternative(composed.html, subtype="html")
    return letter


def _reply_to(composed: Composed) -> Mailbox:
    try:
        return mailbox(composed.reply_to)
    except ValueError as error:
        raise Misconfigured(f"the reply address cannot be used: {error}") from None


def _shown(box: Mailbox) -> Address:
    return Address(display_name=box.name, username=box.local_part, domain=box.domain)


def _of_address(address: str, name: str = "") -> Mailbox:
    local_part, _at, domain = address.rpartition("@")
    try:
        # apart from its domain: only the spelling matters here, and the library refuses names like intranet.local
        local_part = validate_email(
            f"{local_part}@example.org", allow_quoted_local=True, check_deliverability=False
        ).local_part
        if not domain.isascii():
            domain = validate_email(f"name@{domain}", check_deliverability=False, test_environment=True).ascii_domain
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    if not _DOMAIN.fullmatch(domain):
        raise ValueError("what stands after the @ is no domain")
    return Mailbox(local_part, domain, name)
