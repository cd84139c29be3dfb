"""`--max-jobs` and `--max-memory`: a worker that is worn out is replaced without a gap, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.supervise.start import CannotStart, plan
from tests.faults.harness import Site, wait_for
from tests.faults.ledger import check_ledger, wait_until_ended

pytestmark = pytest.mark.slow

MakeSite = Callable[..., Site]


def test_after_so_many_jobs_another_takes_the_place(site: Site) -> None:
    huey = site.run_huey("--queue", "work", "--max-jobs", "work=20")
    accepted = site.enqueue("nap.enqueue_many([0.02] * 60)")
    check_ledger(site, accepted)
    wait_for(lambda: len(huey.started("work/1")) >= 2, what="another has started")
    wait_for(lambda: huey.count("worker_stopped") >= 1, what="the worn one has left")
    assert huey.count("child_worn work/1") >= 1
    assert site.rows("SELECT sum(lost) FROM jobs_job WHERE queue = 'work'") == [(0,)]
    assert huey.stop() == 0


def test_what_runs_in_the_one_that_is_replaced_ends_however_long_it_takes(make_site: MakeSite) -> None:
    site = make_site(FAULTS_GRACE="0.5")
    huey = site.run_huey("--queue", "work", "--max-jobs", "5")
    long = site.enqueue("nap.enqueue(9.0)")
    wait_for(lambda: site.starts(long))
    short = site.enqueue("nap.enqueue_many([0.0] * 10)")
    wait_for(lambda: len(huey.started("work/1")) == 2, what="another has started")
    check_ledger(site, [long, *short])
    assert len(site.starts(long)) == 1
    assert huey.stop() == 0


def test_a_limit_below_what_a_worker_needs_is_told_and_replaces_nobody(site: Site) -> None:
    huey = site.run_huey("--queue", "work", "--max-memory", "5")
    check_ledger(site, [site.enqueue("nap.enqueue()")])
    assert huey.count("memory_limit_too_low queue=work --max-memory=5") == 1
    assert huey.count("child_worn") == 0


def test_at_such_a_size_another_takes_the_place(site: Site) -> None:
    huey = site.run_huey("--queue", "work", "--max-memory", "300")
    small = site.enqueue("nap.enqueue()")
    check_ledger(site, [small])
    assert huey.count("child_worn") == 0
    large = site.enqueue("hoard.enqueue(300)")
    wait_for(lambda: len(huey.started("work/1")) == 2, what="another has started")
    after = site.enqueue("nap.enqueue()")
    check_ledger(site, [small, large, after])


def test_one_that_cannot_be_replaced_works_on(site: Site) -> None:
    console = site.console()
    console.ask("1")
    huey = site.run_huey("--queue", "work", "--max-jobs", "1")
    (site.folder / "broken").touch()
    first = console.ask("nap.enqueue()")
    wait_for(lambda: huey.count("restart_given_up") == 1, what="the other one has not started")
    second = console.ask("nap.enqueue()")
    wait_until_ended(site)
    (site.folder / "broken").unlink()
    check_ledger(site, [first, second])
    assert huey.count("restart_given_up") == 1


@pytest.mark.parametrize(
    ("jobs", "memory", "said"),
    [
        (["email=0"], [], "--max-jobs email=0: expected"),
        ([], ["many"], "--max-memory many: expected"),
        (["lead=5"], [], "'lead' is not worked on here"),
    ],
)
def test_wrong_numbers_are_refused_at_the_start(jobs: list[str], memory: list[str], said: str) -> None:
    with pytest.raises(CannotStart, match=said):
        plan(["email"], [], [], jobs, memory)


def test_a_number_of_one_queue_beats_that_of_all() -> None:
    posts = plan(["email", "lead"], [], [], ["lead=5", "10"], [])
    assert {post.queue: post.most_jobs for post in posts} == {"email": 10, "lead": 5, "": 0}
