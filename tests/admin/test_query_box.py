"""The query box of the job list: words for filters, free text, and what it says where it does not understand."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from jobs import InvalidOption, JobFilter, Queue, act_on, clock
from jobs.admin.query_box import offered
from jobs.history import find as finding
from jobs.history.lookup import first_id_at
from jobs.history.query_text import WORDS, parse
from jobs.keep import operations as duty
from jobs.models import Job, Operation

from .conftest import LIST, MakeClient, MakeJob, queries_on_jobs
from .test_job_list import ids, shown
from .test_operations import ask, confirm, states

lane = Queue("query_lane")


@lane.task(name="query.greet", personal=("name",))
def greet(name: str, city: str = "") -> None: ...


def message(*args: Any, **kwargs: Any) -> str:
    return json.dumps({"v": 1, "args": args, "kwargs": kwargs}, ensure_ascii=False)


def found(client: Client, text: str, **more: str) -> list[str]:
    page = client.get(LIST, {"q": text, **more})
    assert page.status_code == 200
    assert "query-problem" not in page.content.decode(), page.context["cl"].box.problem
    return [str(row.pk) for row in page.context["cl"].result_list]


def problem(client: Client, text: str) -> str:
    page = client.get(LIST, {"q": text})
    assert page.status_code == 200
    said = str(page.context["cl"].box.problem)
    assert said, text
    assert 'aria-invalid="true"' in page.content.decode()
    return said


def test_each_word_finds_its_jobs_and_no_others(viewer: Client, make_job: MakeJob) -> None:
    now = clock.now()
    old = first_id_at(now - timedelta(days=3))
    event, parent = clock.new_id(), clock.new_id()
    kept = {
        "queue:lead": make_job(queue="lead"),
        "state:failed": make_job(state="failed"),
        "state:scheduled": make_job(state="queued", ready_at=now + timedelta(hours=1)),
        "task:query.greet": make_job(task="query.greet", queue="query_lane"),
        "tag:import:42 tag:urgent": make_job(tags='["import:42", "urgent"]'),
        "group:org-7": make_job(group="org-7"),
        'group:"org 8"': make_job(group="org 8"),
        "scope:acme": make_job(scope="acme"),
        f"event:{event}": make_job(event_id=event),
        f"parent:{parent}": make_job(parent_id=parent),
        "about:lead:7": make_job(about_type="leads.lead", about_id="7"),
        "key:sync:12": make_job(key="sync:12"),
        f"cause:{'c' * 16}": make_job(state="failed", cause="c" * 16),
        'error:"timed out" state:failed': make_job(state="failed", error="Error: it Timed Out there"),
        'args:"São Paulo"': make_job(message=message("são paulo")),
        "priority:<=2": make_job(stored_priority=80),
        "attempts:>=3": make_job(attempts=4),
        "ran:>5s": make_job(started_at=now - timedelta(seconds=9), ended_at=now),
        "created:>2d": make_job(id=old, age=timedelta(days=3)),
        f"id:{old}": Job(pk=old),
    }
    make_job(tags='["import:4", "urgent"]', error="", stored_priority=0)
    for text, job in kept.items():
        expected = {str(job.pk)}
        if text == "state:failed":
            expected |= {str(one.pk) for name, one in kept.items() if one.state == "failed" and name != text}
        if text == "queue:lead state:completed":
            expected = set()
        assert set(found(viewer, text)) == expected, text
    one = kept["state:failed"]
    assert found(viewer, f"id:{str(one.pk)}") == ids(one)
    assert found(viewer, "state:failed attempts:0 priority:5 created:<1h", queue="email", state="failed") != []
    assert found(viewer, "queue:lead state:failed") == []


def test_the_last_part_of_a_tasks_name_is_enough(viewer: Client, make_job: MakeJob) -> None:
    job = make_job(task="emails.send_welcome", state="failed")
    make_job()
    for text in ("task:emails.send_welcome", "task:send_welcome", "task:send_welcome state:failed"):
        assert found(viewer, text) == ids(job), text
    assert found(viewer, "task:send_welcome state:completed") == []


def test_days_are_those_of_the_readers_zone(viewer: Client, make_job: MakeJob, settings: Any) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    now = clock.now()
    zone = {"America/Sao_Paulo": "2026-11-20T23:30-03:00"}
    moment = clock.now().fromisoformat(zone["America/Sao_Paulo"])
    query = parse("created:2026-11-20", now)
    assert query.since is not None
    assert query.before is not None
    assert query.since <= moment < query.before
    assert query.before - query.since == timedelta(days=1)
    spread = parse("created:2026-11-20T10:00..2026-11-20T12:00", now)
    assert spread.since is not None
    assert spread.before is not None
    assert spread.before - spread.since == timedelta(hours=2, minutes=1)
    assert parse("created:2026-11-20..", now).before is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queue:emial", "Queue:emial: there is no such queue; queues are: "),
        ("state:broken", "State:broken: there is no such state; states are: queued, "),
        ("task:send_welcom", "did you mean emails.send_welcome?"),
        ("qeue:email", '"qeue" is no filter: did you mean queue:email?'),
        ("tags:x", "did you mean tag:x?"),
        ("state:", "State: is given no value"),
        ("error: timeout", "Error: is given no value"),
        ("queue:email queue:lead", "queue is given twice: keep one of queue:email and queue:lead"),
        ("event:7", "Event:7: expected a whole id"),
        ("id:xyz", "Id:xyz: expected a whole id"),
        ("cause:7", "Cause:7: expected the 16 digits"),
        ("priority:11", "Priority:11: expected a whole number from 1 to 10"),
        ("priority:..", "Priority:..: expected a whole number"),
        ("attempts:many", "Attempts:many: expected a whole number from 0"),
        ("ran:5", "Ran:5: expected a time with its unit"),
        ("ran:>99999999d", "expected a time with its unit"),
        ("created:yesterday", "Created:yesterday: expected >7d"),
        ("created:2026-13-45", "Created:2026-13-45: expected >7d"),
        ("created:>2026-11-20", "Created:>2026-11-20: expected >7d"),
        ("created:2026-11-20..2026-11-19", "the end is before the beginning"),
        ("created:0001-01-01..", "expected >7d"),
        ("created:9999-12-31", "expected >7d"),
        ("about:7", "about:7: no job is about such an object"),
        ("x" * 1_001, "at most 1000 characters"),
        ('tag:"a\\"b"', "no job has this"),
    ],
)
def test_what_is_wrong_is_said_beside_the_box_and_the_list_stays(
    viewer: Client, make_job: MakeJob, text: str, said: str
) -> None:
    job = make_job()
    assert said.lower() in problem(viewer, text).lower()
    assert shown(viewer, f"?q={text[:900].replace('>', '%3E')}") == ids(job) or len(text) > 900


def test_a_word_before_a_colon_that_is_no_filter_is_a_text(viewer: Client, make_job: MakeJob) -> None:
    dead = make_job(state="failed", error="ValueError: bad")
    assert found(viewer, "ValueError: bad") == ids(dead)
    assert found(viewer, '"ValueError: bad" state:failed') == ids(dead)
    assert found(viewer, "bad state:completed") == []
    page = viewer.get(LIST, {"q": "sync:99"}).content.decode()
    assert "sync: this is no filter" in page


def test_a_search_of_arguments_tells_nothing_of_personal_ones(viewer: Client, make_job: MakeJob) -> None:
    fields = {"task": "query.greet", "queue": "query_lane"}
    job = make_job(message=message("Ana Silva", "Ouro Preto"), **fields)
    by_name = make_job(message=message(name="Ana Souza", city="home of Ana Souza"), **fields)
    make_job(message="not JSON Ana")
    assert found(viewer, 'args:"ana silva"') == []
    assert found(viewer, "args:ana") == []
    assert found(viewer, "args:ouro") == ids(job)
    assert found(viewer, "args:home") == ids(by_name)
    # nor do the message's own words stand for arguments
    assert found(viewer, "args:kwargs") == []


def test_of_many_jobs_the_newest_are_searched_and_the_page_says_so(
    viewer: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_job(queue="lead", message=message("needle"), tags='["red"]')
    for _ in range(4):
        make_job(queue="lead", message=message("hay"))
    assert found(viewer, "queue:lead args:needle") == ids(old)
    monkeypatch.setattr(finding, "WINDOW", 3)
    for text in ("args:needle", "tag:red", "priority:5 attempts:>=1"):
        page = viewer.get(LIST, {"q": f"queue:lead state:completed {text}"})
        assert list(page.context["cl"].result_list) == []
        assert "The newest 3 jobs of the filter were searched" in page.content.decode()
    # what is narrowed down so far is searched whole
    page = viewer.get(LIST, {"q": f"id:{old.pk} args:needle"})
    assert [row.pk for row in page.context["cl"].result_list] == [old.pk]
    assert "were searched" not in page.content.decode()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "text",
    [
        *("queue:email", "queue:email state:failed", "task:query.greet", "group:org-7", "scope:acme", "key:x"),
        *("tag:red", "queue:email tag:red", "error:x", "args:x", "queue:email ran:>5s", "state:failed priority:1"),
        *("created:<1h", "task:query.greet args:x state:failed", "about:lead:7", "group:org-7 queue:email error:x"),
    ],
)
def test_no_query_scans_the_table(
    viewer: Client, make_job: MakeJob, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(about_type="leads.lead", about_id="7")
    monkeypatch.setattr("admin_lists.pages.FEW", 1)
    statements = queries_on_jobs(viewer, f"{LIST}?q={text.replace('>', '%3E').replace('<', '%3C')}")
    assert 0 < len(statements) <= 30
    for sql in statements:
        assert "LIMIT" in sql or '"jobs_job"."id" IN' in sql, sql
        assert not (found := re.search(r"OFFSET (\d+)", sql)) or int(found[1]) <= finding.WINDOW, sql
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[3] for row in cursor.fetchall()]
        assert not any(re.fullmatch(r"SCAN (jobs_job|U\d)", step) for step in plan), (sql, plan)


def test_the_address_holds_the_whole_page_and_the_box_shows_it(viewer: Client, make_job: MakeJob) -> None:
    make_job(queue="lead", state="failed")
    page = viewer.get(LIST, {"q": 'queue:lead error:"<script>"', "since": "24h"}).content.decode()
    assert 'value="queue:lead error:&quot;&lt;script&gt;&quot;"' in page
    assert '<input type="hidden" name="since" value="24h">' in page
    assert "<script>" not in page.replace('<script id="query-words" type="application/json">', "")
    cleared = re.search(r'class="job-query-clear" href="([^"]+)"', page)
    assert cleared is not None
    assert cleared[1] == "?since=24h"


def test_the_box_completes_what_the_code_knows(viewer: Client) -> None:
    page = viewer.get(LIST).content.decode()
    held = re.search(r'<script id="query-words" type="application/json">(.*?)</script>', page)
    assert held is not None
    words = json.loads(held[1])
    assert words == offered()
    assert [name for name, _text in words["filters"]] == list(WORDS)
    assert ["emails.send_welcome", "email"] in words["values"]["task"]
    assert ["email", ""] in words["values"]["queue"]


def test_a_member_finds_the_own_organizations_jobs_only(client_with: MakeClient, make_job: MakeJob) -> None:
    from tests.leads.people import make_organization

    acme, other = make_organization("acme"), make_organization("other")
    own = make_job(scope=str(acme.pk), message=message("needle"), tags='["red"]')
    make_job(scope=str(other.pk), message=message("needle"), tags='["red"]')
    member = client_with("view_job", member_of=acme)
    for text in ("args:needle", "tag:red", "priority:5", "queue:email", "state:completed"):
        assert found(member, text) == ids(own), text
    assert found(member, f"scope:{other.pk}") == []


@pytest.mark.parametrize(
    "text",
    ["tag:red", "error:boom queue:email", "task:test.task attempts:2", "created:<1h state:failed tag:red", "boom"],
)
def test_an_operation_means_what_the_box_asks_for(operator: Client, make_job: MakeJob, text: str) -> None:
    meant = make_job(state="failed", error="Boom: x", tags='["red"]', attempts=2)
    other = make_job(state="failed", queue="lead", task="test.other", id=first_id_at(clock.now() - timedelta(days=2)))
    operation = confirm(operator, "discard", f"?q={text.replace('<', '%3C')}")
    assert operation.total == 1
    duty.run()
    assert (states([meant]), states([other])) == ({"cancelled"}, {"failed"})
    page = operator.get(f"/admin/jobs/operation/{operation.pk}/change/").content.decode()
    assert ("Query" in page) == (text != "boom")


def test_an_operation_reaches_what_the_page_did_not_search_and_the_question_says_so(
    operator: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = [make_job(state="failed", tags='["red"]') for _ in range(5)]
    monkeypatch.setattr(finding, "WINDOW", 3)
    question = ask(operator, "discard", "?q=tag:red")
    assert "older ones that match are meant as well" in question.content.decode()
    assert question.context["count"].number == 3
    confirm(operator, "discard", "?q=tag:red")
    duty.run()
    assert states(dead) == {"cancelled"}


def test_a_query_that_is_wrong_begins_no_operation(operator: Client, make_job: MakeJob) -> None:
    dead = make_job(state="failed")
    for answer in ({}, {"upto": str(UUID(int=2**128 - 1))}):
        answered = ask(operator, "discard", "?q=queue:emial", **answer)
        assert answered.status_code == 302
    duty.run()
    assert not Operation.objects.exists()
    assert states([dead]) == {"failed"}


def test_the_command_line_takes_the_same_query(make_job: MakeJob) -> None:
    meant, _other = make_job(state="failed", tags='["red"]', error="boom"), make_job(state="failed")
    out = StringIO()
    call_command("jobs", "list", "--query", "state:failed tag:red", "--json", stdout=out)
    assert [line["id"] for line in json.loads(out.getvalue())] == ids(meant)
    with pytest.raises(Exception, match="queue:emial: there is no such queue"):
        call_command("jobs", "list", "--query", "queue:emial", stdout=StringIO())
    call_command("jobs", "discard", "--query", "error:boom", stdout=StringIO())
    assert sorted(Job.objects.values_list("state", flat=True)) == ["cancelled", "failed"]


def test_a_filter_of_a_query_names_something(make_job: MakeJob) -> None:
    make_job(state="failed")
    for text in ("  ", '""'):
        with pytest.raises(InvalidOption, match="it asks for nothing"):
            JobFilter(query=text)
    with pytest.raises(InvalidOption, match="finds single jobs"):
        act_on("discard", JobFilter(query="args:x"))
    with pytest.raises(InvalidOption, match="give one of them"):
        JobFilter(query="state:failed", state="completed")
    assert act_on("discard", JobFilter(query="state:failed attempts:0")).done == 1


def test_a_key_that_holds_personal_data_is_not_found_by_a_guess(viewer: Client, make_job: MakeJob) -> None:
    secret = make_job(
        task="query.greet", queue="query_lane", key="greet:ada@x.example", message=message("ada@x.example")
    )
    plain = make_job(task="query.greet", queue="query_lane", key="greet:seven", message=message("bob@x.example"))
    for text in ("key:greet:ada@x.example", "greet:ada@x.example", "key:GREET:ada@x.example"):
        assert str(secret.pk) not in found(viewer, text)
    assert found(viewer, "key:greet:seven") == found(viewer, "greet:seven") == [str(plain.pk)]
