"""What a task told of itself as people see it: the command line, the admin; and what erasing leaves of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs import JobFailed, Queue, ResultTimeout, current_job, erase_jobs
from jobs.broker.records import Settlement
from jobs.errors import InvalidOption
from jobs.history import inside
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
Work = Callable[..., list[Settlement]]


def output(*words: str) -> str:
    out = StringIO()
    call_command("jobs", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def told(queue: Queue) -> Any:
    @queue.task(personal=("email",))
    def tell(email: str) -> None:
        job = current_job()
        job.progress(1_500, 6_000, f"<b>rows</b> of {email}")
        for number in range(inside.MOST_LINES + 2):
            job.log(f"<i>{number}</i> {email}")
        job.step("a step", lambda: "of someone")

    handle = tell.enqueue("ada@example.org")
    run_jobs()
    return handle


def test_the_command_line_shows_progress_steps_and_log(told: Any) -> None:
    shown = output("show", str(told.id))
    assert "1,500 of 6,000 (25 %) <b>rows</b> of ***" in shown
    assert "a step" in shown
    document = json.loads(output("show", str(told.id), "--json"))
    assert document["progress"]["percent"] == 25
    assert document["steps"] == ["a step"]
    log = output("logs", str(told.id), "--follow").splitlines()
    first = int(log[1].partition("<i>")[2].partition("<")[0])
    assert f"{first} earlier lines were not kept" in log[0]
    assert log[-1].endswith(f"<i>{inside.MOST_LINES + 1}</i> ***")
    assert json.loads(output("logs", str(told.id), "--json"))[-1]["number"] == inside.MOST_LINES + 2
    assert "ada" not in shown + str(log) + str(document)


def test_follow_prints_what_comes_until_the_job_has_ended(queue: Queue) -> None:
    seen: list[Any] = []

    @queue.task()
    def tell() -> None: ...

    handle = tell.enqueue()

    def look(*args: Any) -> Any:
        seen.append(args)
        if len(seen) == 2:
            run_jobs()
        return [], 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside, "logs_of", look)
        patch.setattr("jobs.management.actions.logs.LOOK_EVERY", 0.0)
        patch.setattr("jobs.management.actions.logs.LAST_LINES", 0.0)
        output("logs", str(handle.id), "--follow", "--json")
    assert len(seen) == 3


def test_the_jobs_page_shows_a_bar_with_its_words_and_the_log_of_each_start(told: Any, client: Client) -> None:
    user = User.objects.create_user("staff@example.org", is_staff=True)
    client.force_login(user)
    address = reverse("admin:jobs_job_change", args=[told.id])
    assert client.get(address).status_code == 403
    user.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_job", "view_every_scope"], content_type__app_label="jobs")
    )
    page = " ".join(client.get(address).content.decode().split())
    assert (
        '<progress value="0.25" max="1" aria-label="Progress"></progress> 1,500 of 6,000 (25 %) &lt;b&gt;rows' in page
    )
    assert "run 1, start 1, attempt 1" in page
    assert "502 earlier lines are not shown." in page
    assert f"&lt;i&gt;{inside.MOST_LINES + 1}&lt;/i&gt; ***" in page
    assert "a step" in page
    assert "ada" not in page
    assert "<i>" not in page.partition("job-log")[2]


def test_erasing_takes_a_person_out_of_what_was_told_and_kept(queue: Queue) -> None:
    @queue.task()
    def mention(name: str) -> None:
        job = current_job()
        job.progress(1, text=f"for {name}")
        job.log(f'to "{name}"')
        job.step("write", lambda: {"to": name, "number": 1})
        for _ in job.iterate([name, f"{name}z"], cursor=str, every=0):
            job.log("x")

    @queue.task()
    def other() -> None:
        job = current_job()
        job.progress(2, text="for Ada Lovelace")
        job.log('to "Ada Lovelace"')
        job.step("write", lambda: {"to": "Ada Lovelace", "number": 1})
        job.desk.keep("items:names", '{"cursor":"Ada Lovelace"}')
        job.desk.keep("items:others", '{"cursor":"Bob"}')

    hers, others = mention.enqueue("Ada Lovelace"), other.enqueue()
    run_jobs()
    erase_jobs([], ["Ada Lovelace"])
    assert (hers.progress, hers.logs(), inside.steps_of(hers.id)) == (None, [], [])
    assert others.progress is not None
    assert (others.progress.text, others.logs()[0].text) == ("for erased", 'to "erased"')
    assert inside.steps_of(others.id)[0][1] == '{"to":"erased","number":1}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside, "_take", lambda *args: None)
        kept = inside.open_kept(type("Claimed", (), {"id": others.id})(), lambda: True)
    assert [name for name in kept if name.startswith("items:")] == ["items:others"]


def test_aresult_waits_on_the_loop_for_many_at_once(queue: Queue) -> None:
    @queue.task()
    def double(number: int) -> int:
        if number == 7:
            raise ValueError("seven")
        return 2 * number

    handles = [double.using(delay=3600).enqueue(number) for number in range(10)]

    async def wait() -> list[Any]:
        threads = threading.active_count()
        waits = [asyncio.ensure_future(handle.aresult(timeout=60)) for handle in handles]
        while len(waits) and inside_lookout() < len(waits):
            await asyncio.sleep(0.005)
        assert threading.active_count() <= threads + 1
        await asyncio.to_thread(run_jobs, include_scheduled=True)
        return await asyncio.gather(*waits, return_exceptions=True)

    def inside_lookout() -> int:
        from jobs.history import endings

        return len(endings._lookout._waits)

    found = asyncio.run(wait())
    assert isinstance(found.pop(7), JobFailed)
    assert found == [0, 2, 4, 6, 8, 10, 12, 16, 18]
    late = double.using(delay=3600).enqueue(1)
    with pytest.raises(ResultTimeout):
        asyncio.run(late.aresult(timeout=0.01))
    with pytest.raises(InvalidOption):
        asyncio.run(late.aresult(timeout=float("nan")))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda job: job.progress(-1),
        lambda job: job.progress(float("nan")),
        lambda job: job.progress("1"),
        lambda job: job.progress(1, 0),
        lambda job: job.progress(True),
        lambda job: job.progress(1, 2, 3),
        lambda job: job.step(""),
        lambda job: job.step("x" * 101),
        lambda job: job.step("x", 3),
        lambda job: job.step("x").result,
        lambda job: (job.step("x", lambda: 1), job.step("x").save(2)),
        lambda job: job.iterate(iter([])),
        lambda job: job.iterate("text"),
        lambda job: job.iterate(User.objects.order_by("email")),
        lambda job: job.iterate(User.objects.all()[:3]),
        lambda job: job.iterate(User.objects.values("pk")),
        lambda job: job.iterate(User.objects.all(), cursor=str),
        lambda job: job.iterate([1], every=-1),
        lambda job: job.iterate([1], slice=0),
        lambda job: (job.iterate([1]), job.iterate([2])),
        lambda job: list(job.iterate([2, 1], cursor=int)),
        lambda job: list(job.iterate([1, "a"], cursor=lambda one: one)),
        lambda job: list(job.iterate([None], cursor=lambda one: one)),
    ],
)
def test_wrong_values_are_refused_where_they_are_said(wrong: Callable[[Any], object], queue: Queue) -> None:
    @queue.task()
    def task() -> None:
        with pytest.raises(InvalidOption):
            wrong(current_job())

    task.call()
