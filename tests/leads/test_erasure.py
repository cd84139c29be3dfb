"""One person's data is erased: afterwards no column of any table holds it, whatever ran before, meanwhile or after."""

from __future__ import annotations

import html
import io
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import Membership, Organization, Role
from emails import intents
from emails import services as email_services
from emails import work as email_work
from emails.models import Campaign, EmailMessage
from emails.tasks import send_bulk_email, send_follow_up
from jobs import RetryLater, clock
from jobs.models import Attempt, Job
from jobs.operate import traces
from jobs.testing import JobsRunner
from leads import erasing
from leads.models import ConsentPurpose, ConsentSource, CrmDelivery, CrmWebhook, Lead, Note, Submission, SubmissionState
from leads.services import add_note, erase_lead, record_consent, start_import, store_import, sync_lead_to_crm
from leads.tasks import calculate_lead_score, finish_erasure
from notifications.models import Notification, SmsMessage
from notifications.services import send_sms_to_lead
from notifications.tasks import create_notification, plan_digests
from tests.emails.mail_server import Behaviour, MailServer, smtp_settings

from .people import make_key, make_lead, make_member, make_organization, make_user
from .servers import serve

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL = "zephyrine@quixotic-tower.example"
PERSON = {
    "name": "Zephyrine Quixotwell",
    "email": EMAIL,
    "phone": "+5511987654321",
    "company": "Obsidian Lanternworks",
    "job_title": "Chief Clockwinder",
    "message": "My heliograph squeaks at noon.",
    "utm_term": "heliograph-repair",
}
NOTE = "Prefers cardamom tea at vespers"
#: What must be found nowhere: the values, the phone as it was typed once, and what enrichment made of the address.
VALUES = (*PERSON.values(), NOTE, "98765-4321", "quixotic")


def grep(*values: str) -> set[str]:
    """`table.column` wherever one of the values stands, in whichever spelling a column may hold it."""
    wanted = {way.casefold() for value in values for way in (value, quote_plus(value), json.dumps(value)[1:-1])}
    places = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                texts = [_text(cell) for cell in row]
                # most rows hold nothing of it
                whole = "\0".join(texts)
                if found := [way for way in wanted if way in whole]:
                    places |= {
                        f"{table}.{name}"
                        for name, text in zip(names, texts, strict=True)
                        if any(way in text for way in found)
                    }
    return places


def _text(cell: Any) -> str:
    binary = isinstance(cell, (bytes, memoryview))
    return (bytes(cell).decode("utf-8", "replace") if binary else str(cell)).casefold()


class EchoingCrm(ThreadingHTTPServer):
    """Refuses everything and says what it got; `meanwhile` happens before it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.meanwhile: Callable[[], object] = lambda: None
        self.status = 400


class _Echo(BaseHTTPRequestHandler):
    server: EchoingCrm

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.server.meanwhile()
        finally:
            connections.close_all()
        data = body["data"]
        answer = f"no such contact: {data['email']} {data['name']}, who writes {data['message']}".encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def crm() -> Iterator[EchoingCrm]:
    yield from serve(EchoingCrm())


@dataclass
class World:
    """An organisation with a manager, and one lead that has left traces everywhere."""

    organization: Organization
    manager: Any
    lead: Lead
    runner: JobsRunner

    def jobs(self, task: str) -> list[Job]:
        return list(Job.objects.filter(task=task).order_by("pk"))


def post_to_api(organization: Organization, key: str, **fields: Any) -> int:
    _, secret = make_key(organization)
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
    answer = Client().post("/api/leads/", json.dumps(fields), content_type="application/json", headers=headers)
    return answer.status_code


def arrive(jobs_runner: JobsRunner) -> World:
    """The lead fills in the form, and an API sends it too; what follows from that has run."""
    organization = make_organization(country="BR")
    manager = make_member(organization, "mia", Role.MANAGER)
    # twice in vain, then once as it should be
    Client().post("/forms/acme/", {**PERSON, "email": "", "name": "", "phone": "(11) 98765-4321"})
    assert post_to_api(organization, f"in vain {EMAIL}", **PERSON, unknown=PERSON["name"]) == 400
    assert Client().post("/forms/acme/", {**PERSON, "consent": "on"}).status_code == 302
    fields = {name: value for name, value in PERSON.items() if name != "email"}
    assert post_to_api(organization, f"again {EMAIL}", **fields, email=EMAIL.title()) == 200
    jobs_runner.run(until=timedelta(minutes=1))
    return World(organization, manager, Lead.objects.get(), jobs_runner)


def leave_traces(world: World, crm: EchoingCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    """What staff did with the lead, and what went wrong with it."""
    lead, organization = world.lead, world.organization
    add_note(lead, NOTE, actor=world.manager)
    # about no lead: only its address tells whose it is
    email_services.send_welcome_email(EMAIL, name=PERSON["name"])
    send_sms_to_lead(lead, f"Dear {PERSON['name']}", key=f"sms {EMAIL}")
    create_notification.enqueue(world.manager.pk, f"Call {PERSON['name']}", f"or write to {EMAIL}")
    admin = Client()
    admin.force_login(make_user("root", is_staff=True, is_superuser=True))
    page = reverse("admin:leads_lead_change", args=[lead.pk])
    assert admin.post(page, {**PERSON, "source": "form"}).status_code == 302
    told: dict[str, Any] = {"source": ConsentSource.STAFF, "wording": f"{PERSON['name']} said so on the phone"}
    record_consent(lead.id, organization.id, [ConsentPurpose.MARKETING], **told, actor=world.manager)
    # files that name the person: one row waits, and one was wrong
    lines = (
        f"Name,Email,Phone,Notes\r\n{PERSON['name']},{EMAIL},{PERSON['phone']},{PERSON['message']}\r\nx,{EMAIL} x,,\r\n"
    )
    for starts in (False, True):
        file = io.BytesIO(lines.encode())
        named = store_import(organization, file, name=f"{PERSON['name']}.csv", size=1, actor=world.manager)
        if starts:
            start_import(named.pk, actor=world.manager)
    world.runner.run()
    # goes out with the next ones
    plan_digests.call()
    # a dead letter whose error holds what the CRM echoed
    address = f"http://127.0.0.1:{crm.server_address[1]}/"
    CrmWebhook.objects.update_or_create(organization=organization, defaults={"url": address})
    sync_lead_to_crm(lead.id, organization.id, custom_fields={"knows": PERSON["message"]})
    world.runner.run()
    # a mail of its own that the server does not take yet
    email_services.send_welcome_email(EMAIL, name=PERSON["name"])
    refusing = Behaviour(faults=lambda step, to: f"450 {to} later" if step == "rcpt" else None)
    with MailServer(refusing) as server, override_settings(**smtp_settings(server.port)):
        world.runner.run(queue="email")
    # somebody else's job, a part of a campaign, whose error names the address
    campaign = Campaign.objects.create(organization=organization, name="Spring", subject="News", text="Hello")
    email_services.send_campaign(campaign.id)

    def fail(*args: Any) -> None:
        raise ValueError(f"Key (to)=({EMAIL}) already exists")

    with monkeypatch.context() as patch:
        patch.setattr(intents, "state_campaign_mails", fail)
        world.runner.run(queue="email")
    # waiting, and known by its argument only
    calculate_lead_score.enqueue(lead.id, organization.id)


@pytest.fixture
def world(each_database: str, crm: EchoingCrm, monkeypatch: pytest.MonkeyPatch) -> World:
    jobs_runner = JobsRunner()
    made = arrive(jobs_runner)
    leave_traces(made, crm, monkeypatch)
    return made


def check_world(world: World) -> None:
    """The traces that the erasure must find are there: else it proves nothing."""
    assert all(grep(value) for value in VALUES)
    (dead,) = (job for job in world.jobs("leads.sync_to_crm") if job.state == "failed")
    assert EMAIL in dead.error
    (part,) = world.jobs("emails.send_bulk_email")
    assert (part.state, EMAIL in part.error) == ("queued", True)
    assert {job.state for job in world.jobs("leads.calculate_lead_score")} == {"completed", "queued"}
    assert [job.state for job in world.jobs("emails.send_follow_up")] == ["queued"]
    assert {"completed", "failed"} <= set(Attempt.objects.values_list("outcome", flat=True))
    assert grep(*VALUES) >= {
        *("leads_lead.name", "leads_note.text", "leads_submission.body", "leads_submission.idempotency_key"),
        *("leads_crmdelivery.payload", "leads_crmdelivery.custom_fields", "leads_crmdelivery.error"),
        *("emails_emailmessage.to", "emails_emailmessage.text", "emails_emailmessage.error"),
        *("notifications_smsmessage.text", "notifications_smsmessage.key", "notifications_notification.title"),
        *("django_admin_log.object_repr", "jobs_job.error", "jobs_job.message", "jobs_attempt.traceback"),
    }


def test_nothing_of_an_erased_lead_is_found_in_any_column_of_any_table(world: World) -> None:
    check_world(world)
    jobs = Job.objects.count()
    erased = erase_lead(world.lead.id, actor=world.manager)
    assert grep(*VALUES) == set()
    assert erased.running == ()
    assert Job.objects.count() == jobs + 1
    assert (erased.rows["leads.lead"], erased.rows["leads.note"], erased.rows["leads.submission"]) == (1, 1, 4)
    # and what runs afterwards does not bring it back
    world.runner.run(include_scheduled=True)
    assert [job.state for job in world.jobs("leads.finish_erasure")] == ["completed"]
    assert grep(*VALUES) == set()


def test_that_jobs_ran_and_mails_went_out_stays_and_so_do_other_peoples_jobs(world: World) -> None:
    before = dict(Job.objects.values_list("pk", "state"))
    sent = EmailMessage.objects.filter(state="recorded").count()
    deliveries = CrmDelivery.objects.filter(state="sent").count()
    attempts = Attempt.objects.count()
    # the lead's id is the place that the campaign has come to: that makes no job of the lead's
    next_part = send_bulk_email.using(delay=3_600).enqueue(Campaign.objects.get().pk, world.lead.pk)
    erased = erase_lead(world.lead.id)
    assert (next_part.state, next_part.args[1]) == ("queued", str(world.lead.pk))
    after = dict(Job.objects.values_list("pk", "state"))
    assert {after[pk] for pk, state in before.items() if state == "completed"} == {"completed"}
    own = Job.objects.filter(about_id=str(world.lead.id))
    assert set(own.values_list("state", flat=True)) == {"completed", "cancelled"}
    assert set(own.values_list("reason", flat=True)) == {"erased"}
    assert own.filter(state="cancelled").count() + 2 == erased.cancelled
    part, _next = world.jobs("emails.send_bulk_email")
    assert (part.state, part.args[0]) == ("queued", str(Campaign.objects.get().pk))
    assert part.error == "ValueError: Key (to)=(erased) already exists"
    assert EmailMessage.objects.filter(state="recorded").count() == sent
    assert EmailMessage.objects.filter(recipient=world.manager, to=world.manager.email).exists()
    assert CrmDelivery.objects.filter(state="sent").count() == deliveries
    assert Attempt.objects.count() == attempts
    lead = Lead.objects.get()
    assert (str(lead), lead.status, lead.source) == (str(lead.id), "new", "form")
    assert lead.activities.filter(kind="erased").count() == 1


def test_another_lead_of_the_same_name_and_company_is_left_alone(world: World) -> None:
    other = make_lead(world.organization, **{**PERSON, "email": "another@quixotic-tower.example"})
    note = add_note(other, "somebody else", actor=None)
    sms = send_sms_to_lead(other, "Hello")
    assert sms is not None
    erase_lead(world.lead.id)
    kept = Lead.objects.get(pk=other.pk)
    assert {name: getattr(kept, name) for name in PERSON} == {**PERSON, "email": "another@quixotic-tower.example"}
    assert Note.objects.get().pk == note.pk
    assert sms.state == "queued"
    assert SmsMessage.objects.get(lead=other).text == "Hello"


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" for one in text)


#: Bodies that never became a lead, and hold its address or number in one way or another.
STRAYS = {
    "JSON": json.dumps({"mail": EMAIL}),
    "JSON, the sign escaped": json.dumps({"mail": EMAIL}).replace("@", "\\u0040"),
    "JSON, all of it escaped": f'{{"mail": "{escaped(EMAIL.upper())}"}}',
    "JSON in JSON": json.dumps({"raw": json.dumps({"mail": EMAIL}).replace("@", "\\u0040")}),
    "JSON in an address": urlencode({"raw": json.dumps({"mail": EMAIL}).replace("@", "\\u0040")}),
    "percent signs": "".join(f"%{ord(one):02X}" for one in EMAIL),
    "percent signs, twice": "mail=" + EMAIL.replace("@", "%2540").replace("-", "%252D"),
    "HTML": f"<a href='mailto:{html.escape(EMAIL)}'>".replace("@", "&#64;").replace(".", "&period;"),
    "HTML in JSON": json.dumps({"mail": EMAIL.replace("@", "&#x40;")}),
    "a number": json.dumps({"fone": PERSON["phone"]}).replace("+", "\\u002b"),
    "a number as it is typed, escaped": json.dumps({"phone": "(11) 98765-4321"}).replace("-", "\\u002d"),
}


@pytest.mark.parametrize("way", STRAYS)
def test_a_stray_body_is_emptied_however_it_writes_the_address(way: str, each_database: str) -> None:
    organization = make_organization(country="BR")
    lead = make_lead(organization, email=EMAIL, phone=PERSON["phone"])
    other = STRAYS[way].replace("zeph", "josi").replace(escaped("ZEPH"), escaped("JOSI")).replace("%7A", "%6A")
    for body in (STRAYS[way], other.replace("4321", "4329")):
        Submission.objects.create(organization=organization, channel="api", body=body, body_hash="x")
    erase_lead(lead.id)
    assert list(Submission.objects.values_list("body", flat=True).exclude(body="")) == [other.replace("4321", "4329")]


def test_an_escaped_text_in_another_jobs_history_is_taken_out(each_database: str) -> None:
    manager = make_member(organization := make_organization(), "mia", Role.MANAGER)
    lead = make_lead(organization, name="Zoë Ångström", email="zoë.å@quixotic.example", phone=PERSON["phone"])
    job = Job.objects.filter(pk=create_notification.enqueue(manager.pk, "Call", "somebody").id)
    inner = json.dumps({"to": lead.email, "name": lead.name.upper()})
    result = json.dumps({"phone": 5511987654321, "count": 7, "log": inner})
    job.update(state="completed", ended_at=clock.now(), error=repr(inner), reason=quote_plus(inner), result=result)
    assert erase_lead(lead.id).mentions == 1
    one = job.get()
    assert one.error == repr('{"to": "erased", "name": "erased"}')
    assert "Zo" not in one.reason
    found = json.loads(one.result)
    assert (found["phone"], found["count"]) == ("erased", 7)
    assert json.loads(found["log"]) == {"to": "erased", "name": "erased"}


def test_what_the_admins_log_says_of_another_object_is_erased_where_it_escapes_the_name(each_database: str) -> None:
    root = make_user("root")
    lead = make_lead(make_organization(), name="Zoë Ångström")
    message = json.dumps([{"changed": {"object": lead.name, "fields": ["text"]}}])
    row = LogEntry.objects.create(user=root, action_flag=2, object_repr="a campaign", change_message=message)
    erase_lead(lead.id)
    row.refresh_from_db()
    assert (row.object_repr, row.change_message) == ("erased", "")


STEPS = [
    (name, step)
    for name, part in sorted(erasing.registry.parts.items())
    for step in ("erase", "sweep")
    if getattr(part, step) is not erasing.nothing
]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "step"), STEPS)
def test_a_kind_of_rows_that_is_left_out_is_found(
    part: str, step: str, jobs_runner: JobsRunner, crm: EchoingCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = arrive(jobs_runner)
    leave_traces(world, crm, monkeypatch)
    parts = erasing.registry.parts
    monkeypatch.setitem(parts, part, replace(parts[part], **{step: erasing.nothing}))
    erase_lead(world.lead.id)
    table = part.replace(".", "_").replace("admin_logentry", "django_admin_log")
    assert {place.partition(".")[0] for place in grep(*VALUES)} == {table}


@pytest.mark.parametrize(("name", "tables"), [("_empty", {"jobs_job", "jobs_attempt"}), ("_take_out", {"jobs_job"})])
def test_a_trace_in_jobs_that_is_left_out_is_found(
    name: str, tables: set[str], jobs_runner: JobsRunner, crm: EchoingCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = arrive(jobs_runner)
    leave_traces(world, crm, monkeypatch)
    monkeypatch.setattr(traces, name, lambda *args: 0)
    erase_lead(world.lead.id)
    assert {place.partition(".")[0] for place in grep(*VALUES)} >= tables


@pytest.mark.sqlite
def test_nothing_is_looked_for_while_it_holds_the_write_lock(
    jobs_runner: JobsRunner, crm: EchoingCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = arrive(jobs_runner)
    leave_traces(world, crm, monkeypatch)
    seen, walks = set(), set()

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        verb = sql.split()[0]
        if verb in ("UPDATE", "DELETE") or (verb == "SELECT" and connection.in_atomic_block):
            execute(f"EXPLAIN QUERY PLAN {sql}", params, many, context)
            seen.add(verb)
            walks.update((sql, row[3]) for row in context["cursor"].fetchall() if row[3].startswith("SCAN"))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        erase_lead(world.lead.id)
    assert (seen, walks) == ({"SELECT", "UPDATE", "DELETE"}, set())


def test_a_job_that_runs_meanwhile_does_not_bring_it_back(world: World, crm: EchoingCrm) -> None:
    running: list[UUID] = []

    def erase() -> None:
        running.extend(erase_lead(world.lead.id).running)

    # with the answer still to come, a delivery would write down what it sent and got
    crm.meanwhile, crm.status = erase, 200
    handle = sync_lead_to_crm(world.lead.id, world.organization.id, custom_fields={"again": PERSON["name"]})
    assert handle is not None
    world.runner.run(queue="lead")
    assert running == [handle.id]
    assert handle.state == "completed"
    assert {place.partition(".")[0] for place in grep(*VALUES)} <= {"jobs_job", "jobs_attempt"}
    world.runner.run(until=timedelta(minutes=5))
    assert grep(*VALUES) == set()


def test_what_still_runs_is_erased_when_it_has_ended(world: World) -> None:
    # one that only its argument, and one that only a text in it tells
    (by_id,) = Job.objects.filter(task="leads.calculate_lead_score", state="queued")
    by_text = create_notification.enqueue(world.manager.pk, f"Call {PERSON['name']}", f"or write to {EMAIL}")
    ids = {by_id.pk, by_text.id}
    running = Job.objects.filter(pk__in=ids)
    running.update(state="active", worker_id=clock.new_id(), claimed_at=clock.now())
    assert set(erase_lead(world.lead.id).running) == ids
    assert set(running.values_list("cancel_requested", flat=True)) == {True}
    *_earlier, finish = world.jobs("leads.finish_erasure")
    with pytest.raises(RetryLater, match="jobs that still run: 2"):
        finish_erasure.call(*finish.args, **finish.kwargs)
    # they fail, and tell what they know
    running.update(state="failed", worker_id=None, error=EMAIL, ended_at=clock.now())
    assert finish_erasure.call(*finish.args, **finish.kwargs)["outcome"] == "erased"
    assert grep(*VALUES) == set()


def test_an_erasure_that_died_after_its_mark_is_finished_by_its_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("leads.services.erasure.erase_marked", _die)
        with pytest.raises(KeyboardInterrupt):
            erase_lead(world.lead.id)
    assert grep(*VALUES)
    world.runner.run(queue="lead", until=timedelta(minutes=1))
    assert grep(*VALUES) == set()


def test_an_erasure_that_died_among_the_rows_still_knows_an_earlier_address(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, parts = "zephyrine@earlier.example", erasing.registry.parts
    EmailMessage.objects.filter(kind=EmailMessage.Kind.SUBMISSION_CONFIRMATION).update(to=earlier)
    Notification.objects.create(user=world.manager, title=f"Write to {earlier}")
    with monkeypatch.context() as patch:
        patch.setitem(parts, "leads.lead", replace(parts["leads.lead"], erase=_die))
        with pytest.raises(KeyboardInterrupt):
            erase_lead(world.lead.id)
    # where it is known from, and by then nowhere else
    assert grep(earlier) == {"emails_emailmessage.to"}
    world.runner.run(queue="lead", until=timedelta(minutes=1))
    assert grep(*VALUES, earlier) == set()


def _die(*args: Any, **kwargs: Any) -> None:
    raise KeyboardInterrupt


class EraseMeanwhile(threading.Thread):
    """The lead was read, its mail not yet written: now somebody erases it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def begin(self) -> None:
        """Erase, as far as that goes while the other transaction is open."""
        self.start()
        self.join(2)

    def run(self) -> None:
        try:
            erase_lead(self.world.lead.id)
        finally:
            connections.close_all()

    def check(self) -> None:
        """Wait for its end and look; and again when everything has run."""
        self.join(30)
        assert not self.is_alive()
        assert grep(*VALUES) == set()
        self.world.runner.run(until=timedelta(days=4))
        assert grep(*VALUES) == set()


def test_a_follow_up_that_is_being_written_is_erased_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    erasure = EraseMeanwhile(world)

    def untouched(lead: Lead) -> bool:
        erasure.begin()
        return True

    monkeypatch.setattr(email_work, "is_untouched", untouched)
    send_follow_up.call(world.lead.id, world.organization.id)
    erasure.check()


def test_a_campaigns_mail_that_is_being_written_is_erased_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    erasure, state = EraseMeanwhile(world), intents.state_campaign_mails

    def state_and_erase(*args: Any) -> list[EmailMessage]:
        erasure.begin()
        return state(*args)

    campaign = Campaign.objects.create(
        organization=world.organization, name="May", subject="News", text="Hello", state=Campaign.State.SENDING
    )
    with monkeypatch.context() as patch:
        patch.setattr(intents, "state_campaign_mails", state_and_erase)
        send_bulk_email.call(campaign.pk)
    erasure.check()


def test_jobs_of_an_erased_lead_end_quietly(world: World) -> None:
    erase_lead(world.lead.id)
    lead, organization = world.lead, world.organization
    assert calculate_lead_score.call(lead.id, organization.id) == {"outcome": "the lead is gone"}
    assert send_follow_up.call(lead.id, organization.id) == {"outcome": "the lead is gone"}
    assert sync_lead_to_crm(lead.id, organization.id) is None
    with pytest.raises(Lead.DoesNotExist):
        add_note(lead, NOTE, actor=None)
    with pytest.raises(ValueError, match="phone number"):
        send_sms_to_lead(lead, "Hello")
    assert grep(*VALUES) == set()


def test_who_comes_again_is_somebody_new(world: World) -> None:
    erase_lead(world.lead.id)
    assert Client().post("/forms/acme/", {**PERSON, "consent": "on"}).status_code == 302
    new = Lead.present.get()
    assert (new.pk == world.lead.pk, new.email) == (False, EMAIL)
    assert Submission.objects.filter(state=SubmissionState.PROCESSED, lead=new).count() == 1


@pytest.mark.sqlite
def test_after_a_vacuum_no_byte_of_the_file_holds_it(
    jobs_runner: JobsRunner, crm: EchoingCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA secure_delete = OFF")  # as SQLite comes where Debian has not built it
    world = arrive(jobs_runner)
    leave_traces(world, crm, monkeypatch)
    erase_lead(world.lead.id)
    with connection.cursor() as cursor:
        # docs/operations.md names these two
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = str(connection.settings_dict["NAME"])
    files = [name for name in (path, f"{path}-wal") if os.path.exists(name)]
    # by another process: a file that this one opens and closes takes SQLite's locks along
    content = subprocess.run(["cat", *files], capture_output=True, check=True).stdout.lower()
    assert len(content) > 100_000
    assert [value for value in VALUES if value.lower().encode() in content] == []


# By hand


def run(*words: str) -> Any:
    out = StringIO()
    call_command("jobs", "erase", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize("form", ["lead:{}", "leads.lead:{}", "leads.Lead:{}"])
def test_the_command_erases_the_lead(form: str, jobs_runner: JobsRunner) -> None:
    world = arrive(jobs_runner)
    done = run("--object", form.format(world.lead.pk))
    assert done["object"] == f"leads.lead:{world.lead.pk}"
    assert done["jobs"] >= 5
    assert done["rows"]["leads.submission"] == 4
    assert grep(*VALUES) == set()


def test_the_command_takes_out_a_text_that_it_is_told(jobs_runner: JobsRunner) -> None:
    world = arrive(jobs_runner)
    erase_lead(world.lead.id)
    Job.objects.filter(task="leads.finish_erasure").update(error=f"550 {EMAIL} is unknown")
    assert run("--object", f"lead:{world.lead.pk}", "--mention", EMAIL)["mentions"] == 1
    assert grep(EMAIL) == set()


@pytest.fixture
def gone(each_database: str) -> World:
    """The lead has been erased; what somebody else writes of it afterwards only the text tells."""
    world = arrive(JobsRunner())
    erase_lead(world.lead.id)
    return world


def erase_text(world: World) -> tuple[str, int]:
    """What the command says of the text, and its exit code; the words of an error belong to it."""
    out = StringIO()
    try:
        call_command("jobs", "erase", "--object", f"lead:{world.lead.pk}", "--mention", EMAIL, stdout=out)
    except CommandError as error:
        return f"{out.getvalue()}{error}", error.returncode
    return out.getvalue(), 0


def test_a_waiting_job_that_holds_the_text_is_cancelled_emptied_and_counted(gone: World) -> None:
    own = run("--object", f"lead:{gone.lead.pk}")
    waiting = create_notification.enqueue(gone.manager.pk, "Call", f"or write to {EMAIL}")
    other = create_notification.enqueue(gone.manager.pk, "Call", "or write to somebody else")
    Job.objects.filter(pk=other.id).update(error=f"550 {EMAIL} is unknown")
    text, code = erase_text(gone)
    assert (own["jobs"] > 0, own["cancelled"], own["mentions"]) == (True, 0, 0)
    assert f"jobs emptied: {own['jobs'] + 1}, of them cancelled: 1; mentions taken out: 1" in text
    assert (code, waiting.state, other.state) == (0, "cancelled", "queued")
    assert grep(EMAIL) == set()


def test_a_running_job_that_holds_the_text_is_named_and_emptied_when_it_has_ended(gone: World) -> None:
    handle = create_notification.enqueue(gone.manager.pk, "Call", f"or write to {EMAIL}")
    running = Job.objects.filter(pk=handle.id)
    running.update(state="active", worker_id=clock.new_id(), claimed_at=clock.now())
    text, code = erase_text(gone)
    assert code == 1
    assert f"still run and were asked to cancel: 1; run this again when they have ended: {handle.id}" in text
    assert running.get().cancel_requested
    # the job that finishes the erasure waits for it too: it may tell what it knows
    *_earlier, finish = gone.jobs("leads.finish_erasure")
    running.update(state="failed", worker_id=None, error=EMAIL, ended_at=clock.now())
    assert finish_erasure.call(*finish.args, **finish.kwargs)["outcome"] == "erased"
    assert grep(EMAIL) == set()
    assert erase_text(gone)[1] == 0


def test_of_an_object_without_an_eraser_the_jobs_with_the_text_are_erased_too(gone: World) -> None:
    handle = create_notification.enqueue(gone.manager.pk, "Call", f"or write to {EMAIL}")
    done = run("--object", f"accounts.user:{gone.manager.pk}", "--mention", EMAIL)
    assert (done["cancelled"], handle.state) == (1, "cancelled")
    assert grep(EMAIL) == set()


def test_the_command_empties_the_jobs_of_a_lead_that_was_deleted(jobs_runner: JobsRunner) -> None:
    world = arrive(jobs_runner)
    Job.objects.filter(about_id=str(world.lead.pk)).update(error=EMAIL)
    pk = world.lead.pk
    world.lead.delete()
    assert run("--object", f"lead:{pk}")["jobs"] >= 5
    assert not Job.objects.filter(error__contains=EMAIL).exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("leed:1", "expected a model's label and an id, like leads.lead:ID; labels that fit: leads.lead"),
        ("lead", "expected a model's label and an id"),
        ("lead:seven", "'seven' is no id of a lead"),
        (f"lead:{UUID(int=7)}", "there is no lead with this id, and no job about it"),
    ],
)
def test_an_object_that_is_not_known_is_refused(given: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        run("--object", given)
    assert caught.value.returncode == 1


def staff(client: Client, organization: Organization, *permissions: str) -> Any:
    user = make_user("sam", is_staff=True)
    Membership.objects.create(organization=organization, user=user)
    for name in ("view_lead", "change_lead", *permissions):
        user.user_permissions.add(Permission.objects.get(content_type__app_label="leads", codename=name))
    client.force_login(user)
    return user


def test_the_button_asks_first_and_needs_a_permission_of_its_own(client: Client, jobs_runner: JobsRunner) -> None:
    world = arrive(jobs_runner)
    user = staff(client, world.organization)
    page = reverse("admin:leads_lead_change", args=[world.lead.pk])
    button = reverse("admin:leads_lead_do", args=[world.lead.pk, "erase"])
    assert button not in client.get(page).content.decode()
    assert client.post(button).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="erase_lead"))
    assert button in client.get(page).content.decode()
    question = client.get(button).content.decode()
    assert "This cannot be undone" in question
    assert "csrfmiddlewaretoken" in question
    assert Client(enforce_csrf_checks=True, headers={"cookie": client.cookies.output(header="")}).post(
        button
    ).status_code in {302, 403}
    assert grep(EMAIL)

    done = client.post(button, follow=True).content.decode()
    assert "The personal data was erased." in done
    assert grep(*VALUES) == set()
    (line,) = LogEntry.objects.filter(user=user)
    assert (line.object_repr, line.change_message) == (
        str(world.lead.pk),
        "Erase personal data: The personal data was erased.",
    )


def test_an_erased_lead_can_be_seen_and_no_more(client: Client, jobs_runner: JobsRunner) -> None:
    world = arrive(jobs_runner)
    staff(client, world.organization, "erase_lead", "add_note", "assign_lead")
    erase_lead(world.lead.id)
    page = reverse("admin:leads_lead_change", args=[world.lead.pk])
    shown = client.get(page)
    assert shown.status_code == 200
    assert "/do/erase/" in shown.content.decode()
    assert "/do/note/" not in shown.content.decode()
    assert client.post(page, {"name": PERSON["name"], "source": "form"}).status_code == 403
    assert client.post(reverse("admin:leads_lead_do", args=[world.lead.pk, "note"]), {"text": NOTE}).status_code == 404
    assert grep(*VALUES) == set()
    assert not Notification.objects.exclude(message="").exists()


# Erase first, then delete


def delete(client: Client, *objects: Any) -> int:
    """By the page's own button, or all of them by the list's action; returns the status."""
    model = objects[0]._meta.model_name
    app = objects[0]._meta.app_label
    if len(objects) == 1:
        return client.post(reverse(f"admin:{app}_{model}_delete", args=[objects[0].pk]), {"post": "yes"}).status_code
    ticked = {"action": "delete_selected", "post": "yes", "_selected_action": [str(one.pk) for one in objects]}
    return client.post(reverse(f"admin:{app}_{model}_changelist"), ticked).status_code


def test_an_erased_lead_with_mails_and_text_messages_is_deleted_by_who_may_delete_leads(
    world: World, client: Client
) -> None:
    user = staff(client, world.organization, "delete_lead")
    assert EmailMessage.objects.filter(lead=world.lead).exists()
    assert SmsMessage.objects.filter(lead=world.lead).exists()
    erase_lead(world.lead.id)
    assert delete(client, world.lead) == 302
    assert not Lead.objects.exists()
    assert not EmailMessage.objects.filter(lead_id=world.lead.pk).exists()
    assert LogEntry.objects.filter(user=user, object_repr=str(world.lead.pk)).count() == 1
    assert grep(*VALUES) == set()
    assert run("--object", f"lead:{world.lead.pk}")["mentions"] == 0


def test_a_lead_that_was_not_erased_is_not_deleted_alone_nor_among_others_nor_with_its_organization(
    admin_client: Client, jobs_runner: JobsRunner
) -> None:
    world = arrive(jobs_runner)
    other = make_lead(world.organization, name="Erased")
    erase_lead(other.id)
    page = admin_client.post(reverse("admin:leads_lead_delete", args=[world.lead.pk]), {"post": "yes"})
    assert "leads whose personal data has not been erased; erase it first" in page.content.decode()
    assert [delete(admin_client, *rows) for rows in ([world.lead, other], [world.organization])] == [200, 200]
    assert Lead.objects.count() == 2
    erase_lead(world.lead.id)
    assert delete(admin_client, world.lead, other) == 302
    assert not Lead.objects.exists()


def test_who_may_not_delete_leads_deletes_no_erased_one(client: Client, jobs_runner: JobsRunner) -> None:
    world = arrive(jobs_runner)
    staff(client, world.organization)
    erase_lead(world.lead.id)
    assert delete(client, world.lead) == 403
    assert Lead.objects.exists()


def test_a_person_with_notifications_and_text_messages_is_deleted_by_a_superuser(
    world: World, admin_client: Client
) -> None:
    assert Notification.objects.filter(user=world.manager).exists()
    assert delete(admin_client, world.manager) == 302
    assert not Notification.objects.filter(user_id=world.manager.pk).exists()


def test_what_the_product_wrote_is_still_not_deleted_by_itself(world: World, admin_client: Client) -> None:
    for row in (EmailMessage.objects.all()[0], Notification.objects.all()[0], CrmDelivery.objects.all()[0]):
        assert delete(admin_client, row) == 403


def test_what_runs_of_a_lead_that_was_erased_and_deleted_is_emptied_when_it_has_ended(world: World) -> None:
    handle = create_notification.enqueue(world.manager.pk, f"Call {PERSON['name']}", f"or write to {EMAIL}")
    running = Job.objects.filter(pk=handle.id)
    running.update(state="active", worker_id=clock.new_id(), claimed_at=clock.now())
    erase_lead(world.lead.id)
    Lead.objects.all().delete()
    *_earlier, finish = world.jobs("leads.finish_erasure")
    with pytest.raises(RetryLater, match="jobs that still run: 1"):
        finish_erasure.call(*finish.args, **finish.kwargs)
    running.update(state="failed", worker_id=None, error=EMAIL, ended_at=clock.now())
    assert finish_erasure.call(*finish.args, **finish.kwargs)["outcome"] == "erased"
    assert grep(*VALUES) == set()
