"""The signed ids in the links of mails: what proves that whoever follows one has got the mail."""

from __future__ import annotations

from uuid import UUID

from django.core import signing


def signed_id(id: UUID, salt: str) -> str:
    """The id with a signature; `salt` keeps the links of one page from opening another."""
    return _signer(salt).sign(str(id))


def id_in(token: str, salt: str) -> UUID | None:
    """The id that a token was made for; None if it was made by somebody else."""
    try:
        return UUID(_signer(salt).unsign(token))
    except (signing.BadSignature, ValueError):
        return None


def _signer(salt: str) -> signing.Signer:
    # no time in it: another try to send a mail must have the same text, or its provider takes it for another mail
    return signing.Signer(salt=salt)
