"""A job's page draws its life to scale, and shows each start with its error, the project's frames first."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client

from jobs import Queue, RetryLater, clock
from jobs.admin.timeline import drawing
from jobs.admin.tracebacks import blocks_of
from jobs.history.timeline import pieces_of
from jobs.models import Attempt, Edge, Job
from jobs.testing import run_jobs

from .conftest import MakeClient, MakeJob, address

lane = Queue("timeline_lane", attempts=3)
NOW = datetime.fromisoformat("2026-11-20T12:00:00+00:00")


@lane.task(name="timeline.fail")
def fail() -> None:
    raise ValueError("no <b>luck</b>")


@lane.task(name="timeline.later")
def later() -> None:
    raise RetryLater(60)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def start(outcome: str, began: float, ended: float, run: int = 1) -> Attempt:
    return Attempt(pk=int(began) + 1, outcome=outcome, run=run, started_at=at(began), ended_at=at(ended))


def a_job(state: str, **fields: object) -> Job:
    return Job(**{"state": state, "created_at": NOW, "ready_at": NOW, "starts": 1, **fields})


def kinds(job: Job, *starts: Attempt, now: float = 1_000, **options: bool) -> list[tuple[str, float]]:
    return [(one.kind, one.seconds) for one in pieces_of(job, starts, at(now), **options)]


def test_a_scheduled_job_waited_until_it_was_due_and_then_for_its_start() -> None:
    job = a_job("completed", ready_at=at(60), ended_at=at(75))
    expected = [("scheduled", 60.0), ("waiting", 10.0), ("completed", 5.0)]
    assert kinds(job, start("completed", 70, 75)) == expected
    blocked = kinds(job, start("completed", 70, 75), waited_for_jobs=True)
    assert blocked == [("blocked", 60.0), *expected[1:]]


def test_a_retry_has_its_delay_apart_from_the_wait_for_its_start() -> None:
    job = a_job("completed", ready_at=at(40), ended_at=at(52), starts=2)
    found = kinds(job, start("failed", 5, 10), start("completed", 50, 52))
    assert found == [("before", 5), ("failed", 5), ("delay", 30), ("again", 10), ("completed", 2)]


@pytest.mark.parametrize("outcome", ["lost", "interrupted", "handed_back"])
def test_after_a_loss_or_an_interruption_there_is_no_delay(outcome: str) -> None:
    job = a_job("completed", ended_at=at(22), starts=2)
    found = kinds(job, start(outcome, 5, 10), start("completed", 20, 22))
    assert found == [("before", 5), (outcome, 5), ("again", 10), ("completed", 2)]


def test_what_goes_on_is_open() -> None:
    waits = pieces_of(a_job("queued", ready_at=at(500), attempts=1), [start("failed", 5, 10)], at(300))
    assert [(one.kind, one.seconds, one.open) for one in waits[-1:]] == [("delay", 290.0, True)]
    runs = pieces_of(a_job("active", started_at=at(8), starts=0), [], at(10))
    assert [(one.kind, one.seconds, one.open) for one in runs] == [("waiting", 8.0, False), ("running", 2.0, True)]
    blocked = pieces_of(a_job("blocked", starts=0), [], at(10))
    assert [(one.kind, one.seconds, one.open) for one in blocked] == [("blocked", 10.0, True)]


def test_a_dead_letter_waited_for_a_person_until_its_next_run() -> None:
    job = a_job("completed", ready_at=at(100), ended_at=at(112), run=2)
    found = kinds(job, start("failed", 5, 10), start("completed", 110, 112, run=2))
    assert found == [("before", 5), ("failed", 5), ("dead", 90), ("again", 10), ("completed", 2)]
    discarded = a_job("cancelled", ended_at=at(500))
    assert kinds(discarded, start("failed", 5, 10))[-1] == ("dead", 490)


@pytest.mark.parametrize(
    ("wait", "is_cut"),
    [(2.0, False), (20.0, False), (3_600.0, True), (14 * 86_400.0, True)],
)
def test_it_is_to_scale_at_seconds_and_what_would_hide_the_rest_is_cut(wait: float, is_cut: bool) -> None:
    job = a_job("completed", ready_at=at(wait), ended_at=at(wait + 4))
    drawn = drawing(pieces_of(job, [start("completed", wait + 1, wait + 4)], at(wait + 4)))
    assert drawn is not None
    widths = {bar.kind: float(bar.width) for bar in drawn.bars}
    assert drawn.cut is is_cut
    assert [bar.kind for bar in drawn.bars if bar.breaks] == (["scheduled"] if is_cut else [])
    # what is not cut is to scale
    assert widths["completed"] == pytest.approx(3 * widths["waiting"], abs=0.2)
    assert widths["completed"] > 100
    assert sum(widths.values()) == pytest.approx(1_000, abs=0.5)
    assert is_cut or widths["scheduled"] == pytest.approx(wait * widths["waiting"], abs=2)


def test_a_week_behind_which_hours_stand_behind_which_seconds_run_shows_all_three() -> None:
    job = a_job("completed", ready_at=at(7 * 86_400), ended_at=at(7 * 86_400 + 7_203))
    drawn = drawing(pieces_of(job, [start("completed", 7 * 86_400 + 7_200, 7 * 86_400 + 7_203)], at(0)))
    assert drawn is not None
    assert [bool(bar.breaks) for bar in drawn.bars] == [True, True, False]
    assert min(float(bar.width) for bar in drawn.bars) >= 250


def test_nothing_is_too_narrow_to_be_seen() -> None:
    starts = [start("failed", n * 100, n * 100 + 0.01) for n in range(1, 100)]
    drawn = drawing(pieces_of(a_job("failed", starts=99, ended_at=starts[-1].ended_at), starts, at(99_999)))
    assert drawn is not None
    assert min(float(bar.width) for bar in drawn.bars if bar.kind == "failed") > 1
    assert [share.times for share in drawn.shares if share.kind == "failed"] == [99]


def test_the_page_draws_it_without_styles_and_says_it_in_a_table(viewer: Client) -> None:
    handle = fail.enqueue()
    run_jobs(include_scheduled=True)
    page = viewer.get(address(handle.id)).content.decode()
    assert page.count('class="piece piece-failed"') == 3 + 1  # and the one that explains it
    assert "style=" not in page
    table = page[page.index("As a table") :]
    for attempt in handle.job.timeline.all():
        assert f'href="#attempt-{attempt.pk}">ran, failed</a>' in table
        assert f'id="attempt-{attempt.pk}"' in page
    assert "no &lt;b&gt;luck&lt;/b&gt;" in page
    assert "<b>luck" not in page


def test_hand_backs_are_no_failures_and_the_newest_start_comes_first(viewer: Client) -> None:
    handle = later.enqueue()
    run_jobs()
    handle.job.timeline.create(outcome="lost", ended_at=clock.now())
    page = viewer.get(address(handle.id)).content.decode()
    assert re.findall(r'<h3>\s*<span class="state state-(\w+)', page) == ["lost", "postponed"]
    assert 'piece-postponed"' in page
    assert 'piece-failed"' not in page


def test_a_job_that_waited_for_others_says_so(viewer: Client, make_job: MakeJob) -> None:
    first, second = make_job(), make_job(state="blocked")
    Edge.objects.create(waiting_id=second.pk, position=0, awaited_id=first.pk)
    assert "waited for other jobs" in viewer.get(address(second.pk)).content.decode()


def test_the_logs_of_a_start_stand_at_that_start_however_many_there_are(
    client_with: MakeClient, make_job: MakeJob
) -> None:
    job = make_job(starts=250)
    for number in range(250):
        job.timeline.create(outcome="lost", ended_at=clock.now(), error=f"start {number + 1} ended")
    from jobs.models import LogPart

    lines = '[[1, "what 240 said"]]'
    LogPart.objects.create(job_id=job.pk, queue=job.queue, run=1, start=240, attempt=1, first=1, lines=lines)
    page = client_with("view_job").get(address(job.pk)).content.decode()
    assert "Earlier starts are not shown" in page
    assert page.count('class="job-start"') == 200
    article = page[page.index("start 240 ended") :].partition("</article>")[0]
    assert "what 240 said" in article


TRACE = """Traceback (most recent call last):
  File "/srv/app/leads/tasks.py", line 3, in sync
    call()
    ^^^^^^
  File "/srv/.venv/lib/python3.12/site-packages/requests/api.py", line 9, in get
    return send()
  File "/usr/lib/python3.12/socket.py", line 7, in connect
    raise OSError
OSError: away

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app/leads/crm.py", line 30, in push
    sync()
  [Previous line repeated 3 more times]
ValueError: no
"""


def test_a_traceback_keeps_its_order_and_every_line() -> None:
    blocks = blocks_of(TRACE)
    assert "\n".join(block.text for block in blocks) == TRACE.rstrip("\n")
    assert [block.kind for block in blocks] == ["text", "own", "foreign", "text", "own", "text"]
    assert blocks[2].summary == "2 frames of others"
    assert "[Previous line repeated" in blocks[4].text
    assert blocks[-1].text == "ValueError: no"


@pytest.mark.parametrize(
    "text", ["", "\n\n", "no traceback", '  File "', '  File "x", line 1', "ValueError:\n  File x"]
)
def test_no_text_breaks_the_reading_of_a_traceback(text: str) -> None:
    assert "\n".join(block.text for block in blocks_of(text)) == text.rstrip("\n")


def test_a_group_of_exceptions_is_read_as_well() -> None:
    trace = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/srv/app/leads/tasks.py", line 3, in sync\n  |     gather()\n'
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
    )
    assert [block.kind for block in blocks_of(trace)] == ["text", "own", "text"]


def test_where_numbers_have_commas_the_drawing_has_none(viewer: Client) -> None:
    handle = fail.enqueue()
    run_jobs(include_scheduled=True)
    page = viewer.get(address(handle.id), headers={"Accept-Language": "pt-BR"}).content.decode()
    assert "Linha do tempo" in page
    drawn = re.findall(r' (?:x|y|width|height)="([^"]*)"', page)
    assert drawn
    assert [number for number in drawn if "," in number] == []
