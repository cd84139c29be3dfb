"""The mail services that `EMAIL_URL` can name; docs/mail-providers.md says which of them are proven."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class MailProvider:
    """The service that was chosen, as the environment describes it."""

    name: str
    backend: str
    options: dict[str, str] = field(repr=False)
    #: What its webhooks are signed with, and the name:password that they carry where it does not sign; or empty.
    signing_key: str = field(default="", repr=False)
    webhook_secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Kind:
    """One service: its backend, how that calls the API's key, and what else it needs."""

    backend: str
    key: str = "api_key"
    needs: tuple[str, ...] = ()
    #: Raises `ValueError` for what cannot be its signing key; None where it does not sign, or that is not proven here.
    check_signing_key: Callable[[str], object] | None = None


def _check_symmetric(key: str) -> None:
    """`whsec_` and base64, as Svix writes it."""
    encoded = key.removeprefix("whsec_")
    if encoded == key or not base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True):
        raise ValueError(key)


def _check_public(key: str) -> None:
    """The public key of an elliptic curve, as base64."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if not isinstance(load_der_public_key(base64.b64decode(key, validate=True)), EllipticCurvePublicKey):
        raise ValueError(key)


MAIL_PROVIDERS = {
    "resend": Kind("emails.transport.resend.EmailBackend", check_signing_key=_check_symmetric),
    "sendgrid": Kind("emails.transport.sendgrid.EmailBackend", check_signing_key=_check_public),
    "brevo": Kind("anymail.backends.brevo.EmailBackend"),
    "mailersend": Kind("anymail.backends.mailersend.EmailBackend", key="api_token"),
    "mailgun": Kind("anymail.backends.mailgun.EmailBackend"),
    "mailjet": Kind("anymail.backends.mailjet.EmailBackend", needs=("secret_key",)),
    "mailtrap": Kind("anymail.backends.mailtrap.EmailBackend", key="api_token"),
    "mandrill": Kind("anymail.backends.mandrill.EmailBackend"),
    "postal": Kind("anymail.backends.postal.EmailBackend", needs=("api_url",)),
    "postmark": Kind("anymail.backends.postmark.EmailBackend", key="server_token"),
    "scaleway": Kind("anymail.backends.scaleway.EmailBackend", key="secret_key", needs=("project_id",)),
    "sparkpost": Kind("anymail.backends.sparkpost.EmailBackend"),
    "unisender_go": Kind("anymail.backends.unisender_go.EmailBackend", needs=("api_url",)),
}
