"""Schedules in the admin and on the command line: made by people, checked as those of the code are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from jobs import Every, Queue, clock
from jobs.define.ticks import SCHEDULE, tick_id
from jobs.history import live
from jobs.keep import tick
from jobs.models import Job, Schedule
from jobs.operate import schedules
from jobs.operate.past_runs import NO_JOB, past_runs
from jobs.testing import run_jobs
from tests.each_broker import each_broker as each_broker

from .conftest import MakeClient, MakeJob

ALL = ("view_schedule", "add_schedule", "change_schedule", "delete_schedule", "run_schedule")
ADD, LIST = reverse("admin:jobs_schedule_add"), reverse("admin:jobs_schedule_changelist")
GIVEN = {
    "name": "Mondays",
    "task": "t.of",
    "args": "[7]",
    "kwargs": "{}",
    "expression": "0 9 * * 1",
    "timezone": "UTC",
    "missed": "once",
    "overlap": "allow",
    "jitter": "0",
    "enabled": "on",
}


@pytest.fixture(autouse=True)
def lane(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue("admin_lane")
    queue.task(name="t.of", personal=("secret",))(lambda lead_id, secret="": None)
    queue.task(name="t.each", schedule=Every(60))(lambda: None)
    known = {"admin_lane": queue}
    for place in ("jobs.defined.queues", "jobs.operate.schedules.queues", "jobs.admin.schedule.queues"):
        monkeypatch.setattr(place, lambda: known)
    return queue


@pytest.fixture
def rows(db: None) -> None:
    schedules.take_in(clock.now(), first=True)
    Schedule.objects.create(name="Mondays", task="t.of", expression="0 9 * * 1", args=[7], last_tick=clock.now())
    Schedule.objects.create(name="<b>gone", task="t.gone", from_code=True, gone_at=clock.now(), last_tick=clock.now())


def test_schedule_made_in_the_admin_ticks_with_its_arguments(client_with: MakeClient) -> None:
    response = client_with(*ALL).post(ADD, GIVEN)
    assert response.status_code == 302, response.context["adminform"].form.errors
    row = Schedule.objects.get()
    assert (row.args, row.kwargs, row.from_code) == ([7], {}, False)
    Schedule.objects.update(last_tick=datetime(2026, 11, 1, tzinfo=UTC))
    handle = schedules.run_now("Mondays")
    assert Job.objects.get(pk=handle.id).args[0] == 7


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"expression": "0 0 30 2 *"}, "expression"),
        ({"expression": "*/0 * * * *"}, "expression"),
        ({"expression": "," * 150}, "expression"),
        ({"timezone": "No/Where"}, "expression"),
        ({"seconds": "60"}, "__all__"),
        ({"expression": ""}, "__all__"),
        ({"expression": "", "seconds": "0"}, "seconds"),
        ({"args": "[]"}, "args"),
        ({"args": "{}"}, "args"),
        ({"args": "[1, 2, 3]"}, "args"),
        ({"kwargs": "[1]"}, "kwargs"),
        ({"kwargs": '{"secret": "x"}'}, "args"),
        ({"task": "t.none"}, "task"),
        ({"missed": "never"}, "missed"),
        ({"jitter": "-1"}, "expression"),
    ],
)
def test_wrong_schedule_is_refused_at_its_field(client_with: MakeClient, wrong: dict[str, str], field: str) -> None:
    response = client_with(*ALL).post(ADD, {**GIVEN, **wrong})
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == [field]
    assert not Schedule.objects.exists()


@pytest.mark.usefixtures("rows")
def test_list_and_pages_say_when_and_what_is_gone(client_with: MakeClient) -> None:
    client = client_with(*ALL)
    text = client.get(LIST).content.decode()
    assert "Every minute" in text
    assert "At 09:00, on Monday" in text
    assert "taken out of the code on" in text
    assert "<b>gone" not in text
    page = client.get(reverse("admin:jobs_schedule_change", args=[Schedule.objects.get(name="Mondays").pk]))
    assert page.content.decode().count("9 a.m.") + page.content.decode().count("9:00") >= 5
    of_code = client.get(reverse("admin:jobs_schedule_change", args=[Schedule.objects.get(name="t.each").pk]))
    assert list(of_code.context["adminform"].form.fields) == ["enabled"]


@pytest.mark.usefixtures("rows")
def test_change_keeps_what_a_keeper_wrote_and_makes_up_for_nothing(client_with: MakeClient) -> None:
    row = Schedule.objects.get(name="Mondays")
    Schedule.objects.filter(pk=row.pk).update(fired=5, last_tick=row.last_tick - timedelta(days=90))
    address = reverse("admin:jobs_schedule_change", args=[row.pk])
    assert client_with(*ALL).post(address, {**GIVEN, "expression": "* * * * *"}).status_code == 302
    row.refresh_from_db()
    assert (row.fired, row.expression) == (5, "* * * * *")
    assert clock.now() - row.last_tick < timedelta(minutes=5)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(("action", "permission"), [("disable_schedules", "change"), ("run_schedules", "run")])
def test_action_needs_its_permission(client_with: MakeClient, action: str, permission: str) -> None:
    row = Schedule.objects.get(name="t.each")
    given = {"action": action, "_selected_action": [row.pk]}
    client_with("view_schedule").post(LIST, given)
    row.refresh_from_db()
    assert (row.enabled, Job.objects.count()) == (True, 0)
    client_with("view_schedule", f"{permission}_schedule").post(LIST, given)
    row.refresh_from_db()
    assert (row.enabled, Job.objects.count()) == ((False, 0) if permission == "change" else (True, 1))


@pytest.mark.usefixtures("rows")
def test_schedules_are_for_those_who_see_everybodys_jobs(client_with: MakeClient) -> None:
    from accounts.models import Organization

    client = client_with(*ALL, member_of=Organization.objects.create(name="Acme", slug="acme"))
    assert client.get(LIST).status_code == 403
    assert client.post(ADD, GIVEN).status_code == 403


def said(*words: str) -> Any:
    out = StringIO()
    call_command("jobs", "schedules", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.usefixtures("rows")
def test_command_line_lists_switches_and_runs() -> None:
    listed = {line["name"]: line for line in said()}
    assert {name: line["state"] for name, line in listed.items()} == {
        "<b>gone": "gone",
        "Mondays": "enabled",
        "t.each": "enabled",
    }
    assert listed["t.each"]["when"] == "every minute"
    assert listed["t.each"]["next"]
    assert said("disable", "t.each") == {"name": "t.each", "state": "disabled"}
    assert {line["name"]: line["next"] for line in said()}["t.each"] is None
    assert said("enable", "t.each")["state"] == "enabled"
    assert Job.objects.filter(pk=said("run", "t.each")["job"]).exists()
    out = StringIO()
    call_command("jobs", "schedules", stdout=out)
    assert "every minute" in out.getvalue()
    for words in (["run"], ["list", "t.each"], ["enable", "<b>gone"], ["run", "t.none"], ["run", "<b>gone"]):
        with pytest.raises(CommandError):
            call_command("jobs", "schedules", *words, stdout=StringIO())
    tick.forget()


def page_of(client: Client, name: str) -> str:
    address = reverse("admin:jobs_schedule_change", args=[Schedule.objects.get(name=name).pk])
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_past_runs_are_told_with_their_ends_and_the_ticks_that_made_no_job(
    rows: None, client_with: MakeClient, lane: Queue, make_job: MakeJob
) -> None:
    person = client_with("view_schedule")
    row = Schedule.objects.get(name="t.each")
    assert "None yet. Each run will stand here" in page_of(person, "t.each")
    now = clock.now().replace(second=0, microsecond=0)
    Schedule.objects.filter(pk=row.pk).update(last_tick=now)
    first = now - timedelta(minutes=10)
    make_job(age=timedelta(minutes=30), queue="admin_lane", task="t.of", ended_at=now - timedelta(minutes=29))
    for minute, state in ((0, "completed"), (1, "failed"), (4, "completed")):
        at = first + timedelta(minutes=minute)
        make_job(
            **{"queue": "admin_lane", "task": "t.each", "state": state, "event": "tick t.each"},
            **{"event_id": tick_id("t.each", at), "about_type": SCHEDULE, "about_id": str(row.pk)},
            **{"started_at": at + timedelta(seconds=3), "ended_at": at + timedelta(seconds=8)},
        )
    row.refresh_from_db()
    runs = past_runs(row)
    assert [run.state for run in runs] == [NO_JOB] * 6 + ["completed", NO_JOB, NO_JOB, "failed", "completed"]
    assert [(run.delay, run.ran, run.by_hand) for run in runs if run.job] == [(3, 5, False)] * 3
    shown = page_of(person, "t.each")
    assert shown.count("<em>no job</em>") == shown.count("job-missed") == 8
    assert "every minute" in shown.lower()


def test_what_retention_removed_is_not_called_missed(rows: None, lane: Queue, make_job: MakeJob) -> None:
    row = Schedule.objects.get(name="t.each")
    now = clock.now().replace(second=0, microsecond=0)
    Schedule.objects.filter(pk=row.pk).update(last_tick=now)
    row.refresh_from_db()
    of_row = {"about_type": SCHEDULE, "about_id": str(row.pk), "queue": "admin_lane", "task": "t.each"}
    make_job(**of_row, state="failed", event_id=tick_id("t.each", now - timedelta(minutes=9)), ended_at=now)
    assert [run.state for run in past_runs(row)] == ["failed"]
    make_job(queue="admin_lane", ended_at=now - timedelta(minutes=3, seconds=30))
    assert [run.state for run in past_runs(row)] == [NO_JOB] * 4 + ["failed"]


def test_next_runs_stand_in_the_schedule_s_zone_and_the_reader_s(rows: None, client_with: MakeClient) -> None:
    Schedule.objects.filter(name="Mondays").update(timezone="America/Sao_Paulo")
    shown = page_of(client_with("view_schedule"), "Mondays").partition('class="job-next"')[2].partition("</table>")[0]
    assert "America/Sao_Paulo" in shown, shown
    assert shown.count(", 9 a.m.</td>") == shown.count(", noon</td>") == 5


@pytest.mark.django_db(transaction=True)
def test_a_run_by_hand_is_done_by_the_page_s_button_and_shown_as_such(
    each_broker: str, client_with: MakeClient, lane: Queue
) -> None:
    schedules.take_in(clock.now(), first=True)
    row = Schedule.objects.get(name="t.each")
    address = f"{LIST}{row.pk}/run/"
    assert client_with("view_schedule", "change_schedule").post(address).status_code == 403
    client = client_with("view_schedule", "run_schedule")
    assert client.get(address).status_code == 405
    assert address in page_of(client, "t.each")
    assert client.post(address).status_code == 302
    run_jobs()
    live.hear()
    Schedule.objects.filter(pk=row.pk).update(last_tick=clock.now() + timedelta(minutes=2))
    row.refresh_from_db()
    (run,) = [one for one in past_runs(row) if one.job]
    assert (run.state, run.by_hand) == ("completed", True)


def test_the_page_s_buttons_switch_off_and_on(rows: None, client_with: MakeClient) -> None:
    client = client_with("view_schedule", "change_schedule")
    row = Schedule.objects.get(name="Mondays")
    for name, enabled in (("disable", False), ("enable", True)):
        address = f"{LIST}{row.pk}/{name}/"
        assert address in page_of(client, "Mondays")
        client.post(address)
        row.refresh_from_db()
        assert row.enabled is enabled
    assert client_with("view_schedule").post(f"{LIST}{row.pk}/disable/").status_code == 403
    assert client.post(f"{LIST}999999/disable/").status_code == 404
    assert LogEntry.objects.count() == 2
