"""Inbox, push and text messages."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from accounts.models import Membership, Role
from jobs import RetryLater
from jobs.history.providers import calls_by_provider
from jobs.testing import JobsRunner
from leads.models import EffectState, Lead
from leads.services import add_lead
from notifications import services
from notifications.models import ContactPreference, Notification, PushDevice, PushMessage, SmsMessage
from notifications.push import DeviceGone
from notifications.tasks import create_notification, send_push_notification, send_sms
from notifications.work import own_page
from tests.leads.people import make_lead, make_member, make_organization, make_user

pytestmark = pytest.mark.django_db


class Slow:
    """A provider that asks to wait the first time, and recognises no repetition."""

    repeatable = False
    records_only = False
    calls = 0

    def send(self, *args: Any) -> str:
        Slow.calls += 1
        if Slow.calls == 1:
            raise RetryLater(5)
        return "ok"


class Gone:
    """A push service that knows no device."""

    repeatable = True
    records_only = False

    def send(self, *args: Any) -> str:
        raise DeviceGone


def test_event_notifies_a_user_once() -> None:
    user, event_id = make_user("mia"), uuid.uuid4()
    first = create_notification.call(user.pk, "News", event_id=event_id)
    second = create_notification.call(user.pk, "News", event_id=event_id)
    assert (first["outcome"], second["outcome"]) == ("notified", "notified already")
    assert Notification.objects.get().title == "News"


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of INFO"):
        create_notification.call(make_user("mia").pk, "News", notification_type="LOUD")


def test_user_without_device_gets_no_push(jobs_runner: JobsRunner) -> None:
    services.notify(make_user("mia").pk, "News")
    jobs_runner.run()
    jobs_runner.assert_enqueued(send_push_notification, times=0)


def test_each_device_gets_one_push(jobs_runner: JobsRunner) -> None:
    user = make_user("mia")
    for number in range(2):
        PushDevice.objects.create(user=user, address=f"https://push.example/{number}")
    services.notify(user.pk, "News")
    jobs_runner.run()
    notification = Notification.objects.get()
    send_push_notification.call(notification.id)
    assert sorted(PushMessage.objects.values_list("state", "tries")) == [("recorded", 1), ("recorded", 1)]


def test_member_who_has_left_gets_no_push_that_was_on_its_way() -> None:
    organization, user = make_organization(), make_user("mia")
    Membership.objects.create(organization=organization, user=user)
    PushDevice.objects.create(user=user, address="https://push.example/1")
    notification = Notification.objects.create(user=user, organization=organization, title="News")
    Membership.objects.all().delete()
    assert "no longer a member" in send_push_notification.call(notification.id)["outcome"]
    assert not PushMessage.objects.exists()


def test_device_that_is_gone_is_forgotten(settings: Any, jobs_runner: JobsRunner) -> None:
    settings.PUSH_PROVIDER = f"{__name__}.Gone"
    user = make_user("mia")
    PushDevice.objects.create(user=user, address="https://push.example/1")
    services.notify(user.pk, "News")
    started = jobs_runner.run()
    assert {handle.state for handle in started} == {"completed"}
    assert not PushDevice.objects.exists()
    assert calls_by_provider()["push"].by_outcome == {"refused": 1}


@pytest.mark.parametrize(
    ("wants", "role", "sent"), [(True, Role.MANAGER, 1), (False, Role.MANAGER, 0), (True, Role.AGENT, 0)]
)
def test_who_is_told_and_wants_it_gets_a_text_message_of_an_unassigned_lead(
    jobs_runner: JobsRunner, wants: bool, role: Role, sent: int
) -> None:
    organization = make_organization()
    user = make_member(organization, "mia", role)
    make_member(organization, "max", Role.MANAGER)
    ContactPreference.objects.create(user=user, phone="+5511912345678", wants_sms=wants)
    add_lead(Lead(organization=organization, name="Ada", email="ada@analytical.example"))
    jobs_runner.run()
    assert SmsMessage.objects.filter(state=EffectState.RECORDED, to="+5511912345678").count() == sent


def test_news_that_is_not_urgent_is_not_texted(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    user = make_member(organization, "max")
    ContactPreference.objects.create(user=user, phone="+5511912345678", wants_sms=True)
    add_lead(Lead(organization=organization, name="Ada", email="ada@analytical.example", assignee=user))
    jobs_runner.run()
    assert Notification.objects.count() == 1
    assert not SmsMessage.objects.exists()


def test_notification_is_written_in_the_members_language(jobs_runner: JobsRunner) -> None:
    seen: list[str | None] = []
    organization = make_organization(language="pt-br")
    make_member(organization, "mia", Role.MANAGER)
    original = services.notify

    def look(*args: Any, **kwargs: Any) -> Any:
        seen.append(translation.get_language())
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "notify", look)
        add_lead(Lead(organization=organization, name="Ada", email="ada@analytical.example"))
    assert seen == ["pt-br"]


def test_sms_of_one_intent_is_stated_once(jobs_runner: JobsRunner) -> None:
    lead = make_lead(make_organization(), phone="+5511912345678")
    assert services.send_sms_to_lead(lead, "Hi", key="k") is not None
    assert services.send_sms_to_lead(lead, "Hi", key="k") is None
    jobs_runner.assert_enqueued(send_sms, times=1)


def test_sms_told_to_wait_is_sent_later_once(settings: Any, jobs_runner: JobsRunner) -> None:
    settings.SMS_PROVIDER, Slow.calls = f"{__name__}.Slow", 0
    handle = services.send_sms_to_lead(make_lead(make_organization(), phone="+5511912345678"), "Hi")
    jobs_runner.run(include_scheduled=True)
    assert handle is not None
    assert (handle.state, Slow.calls) == ("completed", 2)
    assert SmsMessage.objects.get().state == EffectState.SENT
    assert calls_by_provider()["sms"].by_outcome == {"slowed": 1, "ok": 1}


def test_sms_whose_sending_was_broken_off_is_put_aside_for_a_person(settings: Any, jobs_runner: JobsRunner) -> None:
    settings.SMS_PROVIDER = f"{__name__}.Slow"
    handle = services.send_sms_to_lead(make_lead(make_organization(), phone="+5511912345678"), "Hi")
    assert handle is not None
    # as the worker that was killed left it
    SmsMessage.objects.update(state=EffectState.SENDING, claimed_by=handle.id)
    Slow.calls = 0
    jobs_runner.run()
    assert (SmsMessage.objects.get().state, Slow.calls) == (EffectState.UNCLEAR, 0)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("/leads/1/", "/leads/1/"),
        ("https://evil.example/", ""),
        ("//evil.example/", ""),
        ("/\\evil.example/", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_notification_leads_only_to_pages_of_this_site(address: str, kept: str) -> None:
    assert own_page(address) == kept


def test_inbox_shows_own_notifications_and_marks_them_read_by_post(client: Client) -> None:
    mia, max_ = make_user("mia"), make_user("max")
    for user, title in ((mia, "For <b>Mia</b>"), (max_, "For Max")):
        create_notification.call(user.pk, title, action_url="/leads/x/")
    assert client.get("/notifications/").headers["Location"].startswith("/accounts/login/")
    client.force_login(mia)
    page = client.get("/notifications/").content.decode()
    assert "For &lt;b&gt;Mia&lt;/b&gt;" in page
    assert "For Max" not in page

    others = Notification.objects.get(user=max_)
    assert client.get(f"/notifications/{others.pk}/read/").status_code == 405
    client.post(f"/notifications/{others.pk}/read/")
    assert not Notification.objects.filter(read_at__isnull=False).exists()
    client.post("/notifications/read/")
    assert [notification.user for notification in Notification.objects.filter(read_at__isnull=False)] == [mia]


def test_signing_in_never_leads_to_another_site(client: Client) -> None:
    make_user("mia")
    form = {"username": "mia@example.org", "password": "secret"}
    response = client.post("/accounts/login/?next=https://evil.example/", form)
    assert response.headers["Location"] == "/"
