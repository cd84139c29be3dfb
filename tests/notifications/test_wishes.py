"""What reaches a person on which way and when, and the page where they choose it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Organization, Role, User
from jobs.testing import Clock, JobsRunner
from leads.models import Lead
from leads.services import add_lead, assign_lead
from notifications import services
from notifications.models import Channel, Notification, PushDevice, PushMessage, SmsMessage
from notifications.services import save_wishes
from notifications.wishes import end_of_quiet, quiet_until, wishes_of
from tests.leads.people import make_lead, make_member, make_organization, make_user

pytestmark = pytest.mark.django_db
INBOX, PREFERENCES = reverse("notifications:inbox"), reverse("notifications:preferences")
UNREAD, NEWS = reverse("notifications:unread"), reverse("notifications:news")
ALL = list(Notification.Kind)


@pytest.fixture
def acme() -> Organization:
    return make_organization("acme", country="BR")


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def test_each_kind_goes_out_on_the_channels_that_were_chosen_for_it(
    acme: Organization, jobs_runner: JobsRunner
) -> None:
    mia = make_member(acme, "mia", Role.MANAGER)
    PushDevice.objects.create(user=mia, address="https://push.example/1")
    kinds = {Channel.MAIL: ["INFO"], Channel.PUSH: ["URGENT"], Channel.SMS: ["INFO", "WARNING"]}
    save_wishes(mia.pk, kinds, phone="+5511912345678")
    lead = add_lead(Lead(organization=acme, name="Ada", email="ada@analytical.example"))  # urgent: nobody's
    jobs_runner.run()
    assign_lead(lead.pk, acme.pk, mia.pk)  # information: her own
    jobs_runner.run()
    assign_lead(lead.pk, acme.pk, None)  # a warning: nobody's any more
    jobs_runner.run()
    assert sorted(Notification.objects.values_list("kind", flat=True)) == ["INFO", "URGENT", "WARNING"]
    assert [push.notification.kind for push in PushMessage.objects.all()] == ["URGENT"]
    assert {sms.notification.kind for sms in SmsMessage.objects.all()} == {"INFO", "WARNING"}
    assert len(mail.outbox) == 1
    assert mail.outbox[0].to == ["mia@example.org"]


def test_a_mail_that_one_manager_declines_goes_to_the_others_and_to_nobody_in_place(
    acme: Organization, jobs_runner: JobsRunner
) -> None:
    mia, _max, _agent = (
        make_member(acme, name, role)
        for name, role in (("mia", Role.MANAGER), ("max", Role.MANAGER), ("al", Role.AGENT))
    )
    save_wishes(mia.pk, {Channel.MAIL: []})
    add_lead(Lead(organization=acme, name="Ada", email="ada@analytical.example"))
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [["max@example.org"]]
    assert Notification.objects.filter(user=mia).count() == 1


def test_push_and_text_messages_wait_until_the_quiet_hours_that_hold_by_then_are_over(
    acme: Organization, jobs_runner: JobsRunner, jobs_clock: Clock
) -> None:
    mia = make_member(acme, "mia")
    PushDevice.objects.create(user=mia, address="https://push.example/1")
    now = jobs_clock.now.astimezone(ZoneInfo("Asia/Tokyo"))
    begin, end, later = ((now + timedelta(hours=hours)).time().replace(second=0, microsecond=0) for hours in (-1, 2, 3))
    wishes: Any = {"kinds": {Channel.PUSH: ALL, Channel.SMS: ALL}, "phone": "+5511912345678", "time_zone": "Asia/Tokyo"}
    save_wishes(mia.pk, **wishes, quiet=(begin, end))
    over = quiet_until(wishes_of(mia.pk))
    assert over is not None
    assert timedelta(hours=1, minutes=58) < over - timezone.now() <= timedelta(hours=2)
    services.notify(mia.pk, "News", kind="URGENT")
    jobs_runner.run()
    assert Notification.objects.filter(user=mia).count() == 1
    assert not PushMessage.objects.exists()
    waiting = {handle.job.task for handle in jobs_runner.enqueued() if handle.job.ready_at == over}
    assert waiting == {"notifications.send_push_notification", "notifications.send_sms"}
    save_wishes(mia.pk, **wishes | {"phone": "+5511987654321"}, quiet=(begin, later))
    jobs_runner.run(until=over + timedelta(minutes=1))
    assert (PushMessage.objects.count(), SmsMessage.objects.get().state) == (0, "pending")
    jobs_runner.run(until=over + timedelta(hours=1, minutes=1))
    assert PushMessage.objects.count() == 1
    assert SmsMessage.objects.filter(state="recorded", to="+5511987654321").count() == 1


@pytest.mark.parametrize("left", [True, False], ids=["left", "wants it no more"])
def test_what_waits_until_the_morning_reaches_nobody_who_has_left_or_wants_it_no_more(
    acme: Organization, jobs_runner: JobsRunner, left: bool
) -> None:
    mia = make_member(acme, "mia")
    PushDevice.objects.create(user=mia, address="https://push.example/1")
    save_wishes(
        mia.pk, {Channel.PUSH: ALL, Channel.SMS: ALL}, phone="+5511912345678", quiet=(time(0), time(23, 59, 59))
    )
    services.notify(mia.pk, "News", kind="URGENT")
    jobs_runner.run()
    if left:
        Membership.objects.filter(user=mia).delete()
    else:
        save_wishes(mia.pk, {Channel.PUSH: [], Channel.SMS: []})
    jobs_runner.run(include_scheduled=True)
    assert not PushMessage.objects.exists()
    assert SmsMessage.objects.get().state == "skipped"


@pytest.mark.parametrize(
    ("begin", "end", "now", "over"),
    [
        (22, 7, "2026-03-02 23:30", "2026-03-03 07:00"),
        (22, 7, "2026-03-03 06:59", "2026-03-03 07:00"),
        (22, 7, "2026-03-03 07:00", None),
        (12, 14, "2026-03-03 13:00", "2026-03-03 14:00"),
        (12, 14, "2026-03-03 14:00", None),
        # the night in which the clock is put forward has an hour less
        (22, 7, "2026-03-07 23:30", "2026-03-08 07:00"),
    ],
)
def test_quiet_hours_end_by_the_person_s_clock(begin: int, end: int, now: str, over: str | None) -> None:
    zone = ZoneInfo("America/New_York")
    local = datetime.fromisoformat(now).replace(tzinfo=zone)
    expected = over and datetime.fromisoformat(over).replace(tzinfo=zone).astimezone(UTC)
    found = end_of_quiet(time(begin), time(end), local)
    assert (found and found.astimezone(UTC)) == expected


def test_who_has_chosen_nothing_hears_as_before(acme: Organization) -> None:
    wishes = wishes_of(make_member(acme, "mia").pk)
    heard = {channel: [kind for kind in ALL if wishes.wants(channel, kind)] for channel in Channel}
    assert heard == {Channel.MAIL: ALL, Channel.PUSH: ALL, Channel.SMS: []}


def test_preferences_are_chosen_on_their_page_and_what_cannot_be_is_said(acme: Organization) -> None:
    mia = make_member(acme, "mia")
    client = signed_in(mia)
    assert client.get(PREFERENCES).status_code == 200
    wrong = {"sms": ["URGENT"], "quiet_from": "22:00", "time_zone": "Mars/Olympus"}
    answer = client.post(PREFERENCES, wrong)
    assert answer.status_code == 400
    assert set(answer.context["form"].errors) == {"phone", "quiet_until", "time_zone"}
    right = {"mail": ["URGENT"], "sms": ["URGENT"], "phone": "(11) 91234-5678", "time_zone": "America/Sao_Paulo"}
    assert client.post(PREFERENCES, {**right, "quiet_from": "22:00", "quiet_until": "07:00"}).status_code == 302
    wishes = wishes_of(mia.pk)
    mia.refresh_from_db()
    assert (wishes.phone, wishes.quiet_from, wishes.wants_sms) == ("+5511912345678", time(22), True)
    assert (mia.time_zone, mia.wants_digest) == ("America/Sao_Paulo", False)
    assert [wishes.wants(Channel.MAIL, kind) for kind in ALL] == [False, False, True]
    assert not any(wishes.wants(Channel.PUSH, kind) for kind in ALL)
    page = client.get(PREFERENCES).content.decode()
    assert 'value="22:00"' in page
    assert '<option value="America/Sao_Paulo" selected>' in page


def test_a_zone_that_was_set_elsewhere_stays_when_the_preferences_are_saved(acme: Organization) -> None:
    mia = make_member(acme, "mia")
    for zone, kept in (("Japan", "Japan"), ("UTC", "UTC"), ("No/Such", ""), ("", "")):
        User.objects.filter(pk=mia.pk).update(time_zone=zone)
        form = signed_in(mia).get(PREFERENCES).context["form"]
        shown = {**form.initial, "time_zone": _selected(form)}
        assert (
            signed_in(mia).post(PREFERENCES, {key: value for key, value in shown.items() if value}).status_code == 302
        )
        mia.refresh_from_db()
        assert mia.time_zone == kept


def _selected(form: Any) -> str:
    """What a browser sends of the list of zones."""
    names = [name for name, _label in form.fields["time_zone"].choices]
    return str(form.initial["time_zone"]) if form.initial["time_zone"] in names else ""


def test_the_bell_is_told_what_is_new_and_answered_304_until_then(acme: Organization) -> None:
    mia = make_member(acme, "mia")
    client = signed_in(mia)
    for address in (UNREAD, NEWS):
        assert Client().get(address).status_code == 302
        first = client.get(address)
        assert (first.status_code, "no-store" in first["Cache-Control"]) == (200, True)
        known = {"HTTP_IF_NONE_MATCH": first["ETag"]}
        assert client.get(address, **known).status_code == 304
        Notification.objects.create(user=mia, title=f"News for {address}")
        assert client.get(address, **known).status_code == 200
    assert client.get(UNREAD).content == b"2"
    page = client.get(INBOX, headers={"Accept-Language": "pt-BR"}).content.decode()
    assert "Não lidas: 2" in page
    assert page.count('<span class="unseen">não lida</span>') == 2
    assert '>2</span> <span class="unseen">não lidas</span>' in page  # two words, also to who hears them
    known = {"HTTP_IF_NONE_MATCH": client.get(NEWS)["ETag"]}
    client.post(reverse("notifications:read_all"))
    assert client.get(NEWS, **known).status_code == 200
    assert client.get(UNREAD).content == b""


def test_the_inbox_names_the_lead_to_who_may_see_it_and_pages_on(acme: Organization) -> None:
    mia, left = make_member(acme, "mia"), make_user("left")
    lead = make_lead(acme, name="Ada Lovelace")
    for user in (mia, left):
        Notification.objects.create(user=user, title="New lead for you", action_url=lead.get_absolute_url())
    assert "Ada Lovelace" in signed_in(mia).get(INBOX).content.decode()
    assert "Ada Lovelace" not in signed_in(left).get(INBOX).content.decode()
    Notification.objects.bulk_create(Notification(user=mia, title=f"Line {number}") for number in range(50))
    client = signed_in(mia)
    older = client.get(INBOX).context["older"]
    assert "Ada Lovelace" not in client.get(INBOX).content.decode()
    assert "Ada Lovelace" in client.get(INBOX, {"before": older}).content.decode()
    assert client.get(INBOX, {"before": "nonsense"}).status_code == 404


def test_times_are_those_of_the_person_s_clock(acme: Organization) -> None:
    mia = make_member(acme, "mia")
    lead = make_lead(acme)
    Lead.objects.filter(pk=lead.pk).update(created_at=datetime(2026, 3, 2, 1, 30, tzinfo=UTC))
    save_wishes(mia.pk, {}, time_zone="America/Sao_Paulo")
    Membership.objects.update(language="en")
    assert "03/01/2026 10:30 p.m." in signed_in(mia).get(lead.get_absolute_url()).content.decode()
    User.objects.update(time_zone="No/Such")
    assert "03/02/2026 1:30 a.m." in signed_in(mia).get(lead.get_absolute_url()).content.decode()
