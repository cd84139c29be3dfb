"""What a mail service reports: believed only if it is surely the service, and noted once and forward."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.models import Membership
from emails import suppression
from emails.models import Delivery, EmailMessage, Suppression
from leads.models import EffectState
from leads.services import erase_lead
from leads.timeline import timeline
from tests.leads.people import make_lead, make_organization, make_user

from .provider_server import use_provider

pytestmark = pytest.mark.django_db

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of someone").decode()
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.fixture
def resend(settings: Any) -> None:
    use_provider(settings, "resend", "http://127.0.0.1:1/", EMAIL_WEBHOOK_KEY=SECRET)


@pytest.fixture
def sendgrid(settings: Any) -> None:
    use_provider(settings, "sendgrid", "http://127.0.0.1:1/", EMAIL_WEBHOOK_KEY=PUBLIC)


def a_mail(provider: str = "resend", state: EffectState = EffectState.SENT, **fields: Any) -> EmailMessage:
    lead = make_lead(make_organization())
    return EmailMessage.objects.create(
        kind=EmailMessage.Kind.CAMPAIGN,
        key=str(uuid.uuid4()),
        lead=lead,
        organization=lead.organization,
        to=lead.email,
        state=state,
        provider=provider,
        **{"offered_at": timezone.now(), "receipt": "r-1", **fields},
    )


def resend_event(kind: str, message: EmailMessage | None = None, at: datetime | None = None, **data: Any) -> bytes:
    if message is not None:
        data |= {"email_id": "r-1", "tags": {"mail": str(message.id)}, "to": [message.to]}
    when = (at or datetime.now(UTC)).isoformat()
    return json.dumps({"type": f"email.{kind}", "created_at": when, "data": data}).encode()


def post_resend(body: bytes, secret: str = SECRET, at: datetime | None = None, **headers: str) -> Any:
    when = at or datetime.now(UTC)
    signed = {
        "svix-id": "msg_1",
        "svix-timestamp": str(int(when.timestamp())),
        "svix-signature": Webhook(secret).sign("msg_1", when, body.decode()),
    }
    return Client(enforce_csrf_checks=True, headers={**signed, **headers}).post(
        "/mail/reports/resend/", body, content_type="application/json"
    )


def post_sendgrid(*events: dict[str, Any], key: Any = PRIVATE, stamp: int | None = None) -> Any:
    body = json.dumps(events).encode()
    when = str(stamp or int(time.time())).encode()
    signature = key.sign(when + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": when.decode(),
    }
    client = Client(enforce_csrf_checks=True, headers=headers)
    return client.post("/mail/reports/sendgrid/", body, content_type="application/json")


def sendgrid_event(kind: str, message: EmailMessage, **fields: Any) -> dict[str, Any]:
    own = {"email": message.to, "timestamp": int(time.time()), "sg_event_id": str(uuid.uuid4())}
    return {"event": kind, "mail": str(message.id), "smtp-id": "<1@sendgrid>", **own, **fields}


@pytest.mark.usefixtures("resend")
def test_report_with_the_signature_of_the_service_is_noted() -> None:
    message = a_mail()
    assert post_resend(resend_event("delivered", message)).content == b"1 of 1\n"
    message.refresh_from_db()
    assert message.delivery == Delivery.DELIVERED
    assert message.delivery_at is not None


@pytest.mark.usefixtures("resend")
def test_service_that_names_tags_as_a_list_or_only_its_own_id_is_understood() -> None:
    message = a_mail()
    listed = resend_event("delivered", email_id="other", tags=[{"name": "mail", "value": str(message.id)}])
    assert post_resend(listed).content == b"1 of 1\n"
    assert post_resend(resend_event("bounced", email_id="r-1")).content == b"1 of 1\n"


@pytest.mark.usefixtures("resend")
def test_report_that_is_not_surely_the_services_is_refused() -> None:
    message = a_mail()
    body = resend_event("delivered", message)
    refused = [
        post_resend(body, secret=OTHER),
        post_resend(body, at=datetime.now(UTC) - timedelta(minutes=6)),
        post_resend(body, **{"svix-signature": "v1,!!!"}),
        post_resend(body, **{"svix-signature": "nonsense"}),
        post_resend(body, **{"svix-id": "msg_2"}),
        Client().post("/mail/reports/resend/", body, content_type="application/json"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 6
    message.refresh_from_db()
    assert message.delivery == Delivery.UNKNOWN


@pytest.mark.usefixtures("sendgrid")
def test_sendgrids_signature_is_verified() -> None:
    message = a_mail("sendgrid")
    event = sendgrid_event("delivered", message)
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert post_sendgrid(event, key=stranger).status_code == 403
    assert post_sendgrid(event, stamp=int(time.time()) - 90_000).status_code == 403
    assert Client().post("/mail/reports/sendgrid/", b"[]", content_type="application/json").status_code == 403
    assert post_sendgrid(event, event).content == b"1 of 2\n"
    message.refresh_from_db()
    assert message.delivery == Delivery.DELIVERED


@pytest.mark.parametrize("name", ["resend", "sendgrid", "postmark"])
def test_without_a_key_the_secret_is_asked_for_and_without_both_nobody_is_believed(settings: Any, name: str) -> None:
    def post(given: str = "") -> int:
        credentials = base64.b64encode(given.encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"} if given else {}
        bodies = {"resend": resend_event("opened"), "sendgrid": b"[]", "postmark": b'{"RecordType": "Open"}'}
        address = f"/mail/reports/{name}/"
        return Client(headers=headers).post(address, bodies[name], content_type="application/json").status_code

    use_provider(settings, name, "http://127.0.0.1:1/")
    assert [post(), post(":"), post("a:b")] == [403] * 3
    use_provider(settings, name, "http://127.0.0.1:1/", EMAIL_WEBHOOK_SECRET="hook:päss")
    assert [post(), post("hook:pass"), post("hook:päss")] == [403, 403, 200]


def test_where_no_such_service_is_used_there_is_no_such_page(settings: Any) -> None:
    assert Client().post("/mail/reports/resend/").status_code == 404
    use_provider(settings, "resend", "http://127.0.0.1:1/", EMAIL_WEBHOOK_KEY=SECRET)
    assert Client().post("/mail/reports/sendgrid/").status_code == 404
    assert Client().get("/mail/reports/resend/").status_code == 405


@pytest.mark.usefixtures("resend")
@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", b"\xff\xfe", b'{"type": "email.bounced", "data": null}'])
def test_trusted_report_that_makes_no_sense_is_refused_and_harms_nothing(body: bytes) -> None:
    try:
        answer = post_resend(body)
    except UnicodeDecodeError:
        return  # cannot be signed as text
    assert answer.status_code in {200, 400}


@pytest.mark.usefixtures("resend")
def test_reports_in_any_order_end_the_same_and_a_repeated_one_changes_nothing() -> None:
    message = a_mail()
    for kind, changed in [("complained", 1), ("delivered", 0), ("bounced", 0), ("sent", 0), ("complained", 0)]:
        assert post_resend(resend_event(kind, message)).content == f"{changed} of 1\n".encode(), kind
    message.refresh_from_db()
    assert message.delivery == Delivery.COMPLAINED
    assert Suppression.objects.count() == 1


@pytest.mark.usefixtures("resend")
def test_report_of_somebody_elses_mail_changes_nothing() -> None:
    foreign = a_mail("sendgrid")
    assert post_resend(resend_event("bounced", foreign)).content == b"0 of 1\n"
    assert post_resend(resend_event("bounced", email_id="unknown")).content == b"0 of 1\n"
    assert post_resend(resend_event("bounced")).content == b"0 of 1\n"
    foreign.refresh_from_db()
    assert foreign.delivery == Delivery.UNKNOWN


@pytest.mark.usefixtures("resend")
def test_report_of_an_earlier_sending_changes_nothing() -> None:
    message = a_mail(state=EffectState.UNCLEAR)
    old = timezone.now() - timedelta(hours=1)
    assert post_resend(resend_event("bounced", message, at=old)).content == b"0 of 1\n"


@pytest.mark.usefixtures("resend")
@pytest.mark.parametrize("state", [EffectState.UNCLEAR, EffectState.FAILED, EffectState.SENDING, EffectState.PENDING])
@pytest.mark.parametrize("kind", ["sent", "delivered", "bounced"])
def test_mail_that_the_service_reports_was_sent(state: EffectState, kind: str) -> None:
    message = a_mail(state=state, receipt="", error="the answer was lost")
    assert post_resend(resend_event(kind, message)).content == b"1 of 1\n"
    message.refresh_from_db()
    assert (message.state, message.receipt, message.error) == (EffectState.SENT, "r-1", "")


@pytest.mark.usefixtures("resend")
def test_hard_bounce_suppresses_the_address_and_a_soft_one_does_not() -> None:
    message = a_mail()
    post_resend(resend_event("bounced", message, bounce={"type": "Transient", "message": "full"}))
    assert not suppression.is_suppressed(message.to, message.organization_id)
    post_resend(resend_event("bounced", message, bounce={"type": "Permanent", "message": "gone"}))
    assert suppression.is_suppressed(message.to.upper(), message.organization_id)
    assert not suppression.is_suppressed("other@acme.example", message.organization_id)
    assert not suppression.is_suppressed(message.to, make_organization("other").id)


@pytest.mark.usefixtures("sendgrid")
def test_sendgrid_tells_hard_bounces_from_blocks_and_names_addresses_it_drops() -> None:
    message = a_mail("sendgrid")
    post_sendgrid(sendgrid_event("bounce", message, type="blocked", reason="451 try later"))
    assert not Suppression.objects.exists()
    post_sendgrid(sendgrid_event("bounce", message, type="bounce", reason="550 no such user"))
    assert Suppression.objects.get().reason == Suppression.Reason.BOUNCED
    message.refresh_from_db()
    assert message.delivery_detail == "451 try later"


@pytest.mark.usefixtures("sendgrid")
def test_address_that_the_service_itself_drops_is_suppressed() -> None:
    message = a_mail("sendgrid")
    post_sendgrid(sendgrid_event("dropped", message, reason="Bounced Address"))
    message.refresh_from_db()
    assert message.delivery == Delivery.REJECTED
    assert suppression.is_suppressed(message.to, message.organization_id)


@pytest.mark.usefixtures("resend")
def test_complaint_suppresses_the_address_and_unsubscribes_the_lead() -> None:
    message = a_mail()
    post_resend(resend_event("complained", message))
    assert message.lead is not None
    message.lead.refresh_from_db()
    assert message.lead.unsubscribed_at is not None
    assert suppression.is_suppressed(message.to, message.organization_id)


@pytest.mark.usefixtures("resend")
def test_complaint_of_a_member_does_not_unsubscribe_the_lead_that_the_mail_told_of() -> None:
    message = a_mail()
    EmailMessage.objects.update(kind=EmailMessage.Kind.LEAD_NOTIFICATION, to="mia@example.org")
    post_resend(resend_event("complained", message))
    assert message.lead is not None
    message.lead.refresh_from_db()
    assert message.lead.unsubscribed_at is None


@pytest.mark.usefixtures("resend")
def test_suppression_that_a_person_lifted_is_not_put_back_by_the_same_report() -> None:
    message = a_mail()
    bounced = resend_event("bounced", message, bounce={"type": "Permanent", "message": "gone"})
    post_resend(bounced)
    suppression.lift(Suppression.objects.get(), make_user("sam"))
    post_resend(bounced)
    assert not suppression.is_suppressed(message.to, message.organization_id)


@pytest.mark.usefixtures("resend")
def test_delivery_is_shown_on_the_mail_and_on_the_lead(admin_client: Client) -> None:
    message = a_mail()
    post_resend(resend_event("complained", message))
    assert message.lead is not None
    assert any("reported as spam" in entry.text for entry in timeline(message.lead))
    for address in (
        reverse("admin:emails_emailmessage_change", args=[message.pk]),
        reverse("admin:leads_lead_change", args=[message.lead.pk]),
    ):
        assert "reported as spam" in admin_client.get(address).content.decode()


def test_suppression_outlives_its_address_and_is_known_by_an_older_key(settings: Any) -> None:
    message = a_mail()
    suppression.suppress(message, Suppression.Reason.BOUNCED, "resend")
    address = message.to
    EmailMessage.objects.update(to="")
    assert address not in str(Suppression.objects.values())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert suppression.is_suppressed(address, message.organization_id)
    settings.SECRET_KEY_FALLBACKS = []
    assert not suppression.is_suppressed(address, message.organization_id)


@pytest.mark.usefixtures("resend")
def test_erasure_leaves_the_hash_and_no_later_report_writes_an_address_down() -> None:
    message = a_mail()
    assert message.lead is not None
    bounce = {"type": "Permanent", "message": f"{message.to} is gone"}
    post_resend(resend_event("bounced", message, bounce=bounce))
    address = message.to
    erase_lead(message.lead.id)
    assert post_resend(resend_event("complained", message, bounce=bounce)).content == b"1 of 1\n"
    message.refresh_from_db()
    assert (message.to, message.delivery_detail, message.delivery) == ("", "", Delivery.COMPLAINED)
    assert suppression.is_suppressed(address, message.organization_id)


def test_only_who_may_lifts_a_suppression_and_the_row_tells_who_did() -> None:
    message = a_mail()
    suppression.suppress(message, Suppression.Reason.BOUNCED, "resend")
    row = Suppression.objects.get()
    user = make_user("sam", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_suppression"))
    client = Client()
    client.force_login(user)
    address = reverse("admin:emails_suppression_changelist")
    assert message.to not in client.get(address).content.decode()
    Membership.objects.create(organization=message.organization, user=user)
    assert message.to in client.get(address).content.decode()
    assert message.to in client.get(address, {"q": message.to.upper()}).content.decode()
    assert message.to not in client.get(address, {"q": "nobody@acme.example"}).content.decode()
    ask = {"action": "allow_again", "_selected_action": [str(row.pk)]}
    client.post(address, ask)
    assert suppression.is_suppressed(message.to, message.organization_id)
    user.user_permissions.add(Permission.objects.get(codename="lift_suppression"))
    client.post(address, ask)
    assert not suppression.is_suppressed(message.to, message.organization_id)
    row.refresh_from_db()
    assert (row.lifted_by, row.lifted_at is not None) == (user, True)
    assert client.post(reverse("admin:emails_suppression_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
