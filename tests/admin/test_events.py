"""Events in the admin: from an event to its jobs and what they did, and back; whose they are; bounded however many."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, User
from jobs import JobEffect, clock
from jobs.errors import InvalidOption
from jobs.history import effects, event_trail, lookup
from jobs.models import Job
from jobs.origin import Origin, with_origin
from tests.leads.people import make_organization

from .conftest import MakeClient, MakeJob, address

EVENTS = "/admin/jobs/job/events/"
MESSAGE = '{"v": 1, "args": [], "kwargs": {}}'
EVIL = "<script>alert(1)</script>"


def of_event(name: str, id: UUID | None = None) -> dict[str, object]:
    return {"event": name, "event_id": id or clock.new_id()}


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.content.decode().split())


def test_the_newest_events_come_first_with_the_states_of_their_jobs(viewer: Client, make_job: MakeJob) -> None:
    first, second = clock.new_id(), clock.new_id()
    make_job(**of_event("DoorOpened", first))
    make_job(state="failed", **of_event("DoorOpened", first))
    make_job(**of_event("DoorClosed", second))
    make_job()
    page = text(viewer, EVENTS)
    assert page.index(str(second)) < page.index(str(first))
    assert page.count("DoorOpened") == 1  # one line, whatever the number of jobs; no code defines it as a choice
    line = page[page.index(str(first)) :].partition("</tr>")[0]
    assert "state-completed" in line
    assert "state-failed" in line


def test_a_character_that_no_database_holds_finds_nothing(viewer: Client, make_job: MakeJob) -> None:
    make_job(about_type="auth.group", about_id="7", **of_event("LeadCreated"))
    for query in ("?event=%00x", "?about=group:x%00", "?about=x%00", "?before=%00"):
        text(viewer, EVENTS + query)


def test_events_are_found_by_kind_and_by_object(viewer: Client, make_job: MakeJob) -> None:
    mine, other = clock.new_id(), clock.new_id()
    make_job(about_type="auth.group", about_id="7", **of_event("LeadCreated", mine))
    make_job(about_type="auth.group", about_id="8", **of_event("LeadScored", other))
    for query in ("?event=LeadCreated", "?about=group:7", "?about=auth.group:7", "?about=7"):
        page = text(viewer, EVENTS + query)
        assert str(mine) in page, query
        assert str(other) not in page, query
    assert "Nothing of this kind" in text(viewer, EVENTS + "?about=nothing:7")
    assert "Nothing of this kind" in text(viewer, f"{EVENTS}?event={EVIL}")


def test_an_events_page_shows_the_tree_of_its_jobs_and_what_they_set_off(viewer: Client, make_job: MakeJob) -> None:
    event, later = clock.new_id(), clock.new_id()
    cause = make_job(task="test.cause")
    root = make_job(task="test.root", parent_id=cause.pk, **of_event("DoorOpened", event))
    child = make_job(task="test.child", parent_id=root.pk, **of_event("DoorOpened", event))
    further = make_job(task="test.further", parent_id=child.pk, **of_event("DoorClosed", later))
    make_job(task="test.stranger", **of_event("DoorClosed"))
    page = text(viewer, f"{EVENTS}{event}/")
    for job, depth in ((root, 0), (child, 1), (further, 2)):
        assert f'class="waterfall-{depth}"><a href="{address(job.pk)}"' in page
    assert f'<a href="{EVENTS}{later}/">DoorClosed</a>' in page
    assert f'href="{address(cause.pk)}"' in page
    assert "test.stranger" not in page
    assert "style=" not in page


def test_the_waterfall_cuts_the_time_in_which_nothing_happened(viewer: Client, make_job: MakeJob) -> None:
    event, now = clock.new_id(), clock.now()
    for age in (timedelta(days=9), timedelta(minutes=2)):
        job = make_job(age=age, started_at=now - age, ended_at=now - age + timedelta(seconds=60), starts=1)
        Job.objects.filter(pk=job.pk).update(event="DoorOpened", event_id=event)
        job.timeline.create(outcome="completed", started_at=job.started_at, ended_at=job.ended_at)
    page = text(viewer, f"{EVENTS}{event}/")
    assert page.count("job-life-cut") == 2
    widths = [part.partition('width="')[2].partition('"')[0] for part in page.split("piece-completed")[1:]]
    assert all(float(width) > 200 for width in widths), widths


def test_the_jobs_page_leads_to_the_event_its_other_jobs_and_back(viewer: Client, make_job: MakeJob) -> None:
    event = clock.new_id()
    job, other = (make_job(state=state, **of_event("DoorOpened", event)) for state in ("completed", "failed"))
    page = text(viewer, address(job.pk))
    assert f'<a href="{EVENTS}{event}/">DoorOpened</a>' in page
    assert f'href="{address(other.pk)}"' in page
    assert f'href="{address(job.pk)}"' in text(viewer, f"{EVENTS}{event}/")


def test_all_jobs_of_a_request_are_found_and_no_others(viewer: Client, make_job: MakeJob) -> None:
    job, same, other = (
        make_job(task=f"test.{name}", message=with_origin(MESSAGE, Origin(request)))
        for name, request in (("one", "req-1"), ("same", "req-1"), ("other", "req-11"))
    )
    assert f'<a href="/admin/jobs/job/{job.pk}/request/">req-1</a>' in text(viewer, address(job.pk))
    page = text(viewer, f"/admin/jobs/job/{job.pk}/request/")
    assert "test.one" in page
    assert str(same.pk) in page
    assert str(other.pk) not in page
    assert viewer.get(f"/admin/jobs/job/{make_job().pk}/request/").status_code == 404


def test_a_like_pattern_in_a_request_id_finds_only_itself(viewer: Client, make_job: MakeJob) -> None:
    job, other = (make_job(message=with_origin(MESSAGE, Origin(request))) for request in ("a_c", "abc"))
    page = text(viewer, f"/admin/jobs/job/{job.pk}/request/")
    assert str(job.pk) in page
    assert str(other.pk) not in page


def test_hostile_names_are_escaped(viewer: Client, make_job: MakeJob) -> None:
    event = clock.new_id()
    make_job(task=EVIL, about_type="a.b", about_id=EVIL, **of_event(EVIL, event))
    for path in (EVENTS, f"{EVENTS}{event}/", f"{EVENTS}?about={EVIL}"):
        assert "<script>alert" not in text(viewer, path)


@pytest.fixture
def acme(db: None) -> Organization:
    return make_organization("acme")


def test_a_member_sees_only_the_own_organizations_jobs_of_an_event(
    client_with: MakeClient, make_job: MakeJob, acme: Organization
) -> None:
    event, foreign = clock.new_id(), clock.new_id()
    scope = str(acme.pk)
    own = make_job(task="test.own", scope=scope, **of_event("DoorOpened", event))
    make_job(task="test.theirs", scope="another", parent_id=own.pk, **of_event("DoorOpened", event))
    make_job(task="test.below", scope="another", parent_id=own.pk, **of_event("Secret"))
    make_job(
        task="test.theirs", scope="another", message=with_origin(MESSAGE, Origin("req-9")), **of_event("F", foreign)
    )
    asked = make_job(scope=scope, message=with_origin(MESSAGE, Origin("req-9")))
    client = client_with("view_job", member_of=acme)
    pages = [text(client, path) for path in (EVENTS, f"{EVENTS}{event}/", address(own.pk))]
    pages.append(text(client, f"/admin/jobs/job/{asked.pk}/request/"))
    assert "test.own" in pages[1]
    for page in pages:
        assert "test.theirs" not in page
        assert "test.below" not in page
        assert "Secret" not in page
        assert str(foreign) not in page
    assert client.get(f"{EVENTS}{foreign}/").status_code == 404


def test_the_pages_need_the_view_permission(client_with: MakeClient, make_job: MakeJob) -> None:
    event = clock.new_id()
    job = make_job(message=with_origin(MESSAGE, Origin("req-1")), **of_event("DoorOpened", event))
    client = client_with("retry_job")
    for path in (EVENTS, f"{EVENTS}{event}/", f"/admin/jobs/job/{job.pk}/request/"):
        assert client.get(path).status_code == 403
    assert client_with("view_job").get(f"{EVENTS}{uuid4()}/").status_code == 404


def test_effects_are_shown_to_who_may_look_at_their_rows(
    client_with: MakeClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, event = Group.objects.create(name="the sales team"), clock.new_id()
    job = make_job(message='{"v": 1, "args": [], "kwargs": {"group": 5}}', **of_event("DoorOpened", event))
    monkeypatch.setattr(effects, "_registered", {})
    effects.register_effects("broken", lambda jobs: 1 / 0)  # type: ignore[arg-type, return-value]
    effects.register_effects(
        "groups", lambda jobs: [JobEffect(group, f"made {one.arguments['group']}", None, one.id) for one in jobs]
    )
    client = client_with("view_job")
    assert "the sales team" not in text(client, f"{EVENTS}{event}/")
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_group"))
    page = text(client, f"{EVENTS}{event}/")
    assert f'<a href="/admin/auth/group/{group.pk}/change/">group: the sales team</a>' in page
    assert "made 5" in page
    assert f'href="{address(job.pk)}"' in page.partition("the sales team")[2]
    with pytest.raises(InvalidOption, match="registered as 'groups' already"):
        effects.register_effects("groups", lambda jobs: [])


@pytest.mark.parametrize("name", ["", "DoorOpened", "DoorClosed"])
def test_every_event_is_on_one_page_and_no_page_is_endless(
    viewer: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(event_trail, "STEPS", (10, 20))
    monkeypatch.setattr(event_trail, "PAGE", 5)
    ids = [clock.new_id() for _ in range(17)]
    closed = clock.new_id()
    for number in range(100):
        make_job(**(of_event("DoorOpened", ids[number % 17]) if number % 3 else {}))
        if number == 30:
            make_job(**of_event("DoorClosed", closed))
    seen: list[UUID] = []
    before, pages = None, 0
    while True:
        found = event_trail.newest_events([lookup.all_jobs()], name=name, before=before)
        seen += [event.id for event in found.events]
        pages += 1
        if found.older is None:
            break
        before = found.older
    assert sorted(seen) == sorted({"DoorOpened": ids, "DoorClosed": [closed]}.get(name, [*ids, closed]))
    assert pages < 30
    assert "Older" in text(viewer, EVENTS)


def test_the_number_of_queries_does_not_grow_with_the_jobs(viewer: Client, make_job: MakeJob) -> None:
    event = clock.new_id()
    counts = []
    for _round in range(2):
        for _ in range(20):
            job = make_job(about_type="auth.group", about_id="1", **of_event("DoorOpened", event))
            make_job(parent_id=job.pk, **of_event("DoorClosed"))
        text(viewer, f"{EVENTS}{event}/")
        with CaptureQueriesContext(connection) as queries:
            text(viewer, f"{EVENTS}{event}/")
            text(viewer, EVENTS)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] < 50
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_rows_that_name_each_other_as_parents_are_all_shown(viewer: Client, make_job: MakeJob) -> None:
    event = clock.new_id()
    one, two = (make_job(**of_event("DoorOpened", event)) for _ in range(2))
    Job.objects.filter(pk=one.pk).update(parent_id=two.pk)
    Job.objects.filter(pk=two.pk).update(parent_id=one.pk)
    page = text(viewer, f"{EVENTS}{event}/")
    assert page.count('<th scope="row" class="waterfall-') == 2
