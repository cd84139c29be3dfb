"""A limit that tasks of two queues share, with real workers: exact over both, and killed ones let nobody pass it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from .harness import Site, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]

MakeSite = Callable[..., Site]
LIMIT, PER = 10, 1.0


def test_starts_of_two_queues_keep_to_their_limit_together_also_when_a_worker_is_killed(
    make_site: MakeSite,
) -> None:
    site = make_site(FAULTS_PACE="100")
    huey = site.run_huey("--queue", "work", "--queue", "paced")
    console = site.console()
    jobs = console.ask("call_provider.enqueue_many([()] * 15)")
    jobs += console.ask("call_provider_too.enqueue_many([()] * 15)")
    plain = console.ask("nap.enqueue_many([0.0] * 20)")
    wait_for(lambda: len(site.ledger("start")) >= 18)
    os.kill(huey.child("work/1"), signal.SIGKILL)
    check_ledger(site, [*jobs, *plain])
    starts = sorted(line.at for line in site.ledger("start") if line.job in set(jobs))
    assert len(starts) >= 30
    gaps = [later - first for first, later in zip(starts, starts[LIMIT:], strict=False)]
    # the ledger's line is written a moment after the start
    assert min(gaps) > PER - 0.02
    # the plain ones had not to wait for them
    first_plain = min(line.at for line in site.ledger("start") if line.job in set(plain))
    assert first_plain < max(line.at for line in site.ledger("start") if line.job in set(jobs[:15]))
