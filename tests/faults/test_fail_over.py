"""A Sentinel fail-over under load: all go on by themselves on the new primary, and what is lost is known (G1, G2)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sentinels import SentinelSet

from .customer import Customer
from .harness import RedisSite, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.slow
QUEUES = ("--queue", "work", "--queue", "paced")
FAULTS = {"killed": signal.SIGKILL, "hangs": signal.SIGSTOP, "hands over": None}


@pytest.fixture
def servers() -> Iterator[SentinelSet]:
    made = SentinelSet.create(replicas=2, appendonly="yes")
    yield made
    made.remove()


@pytest.fixture
def site(servers: SentinelSet, migrated: Path, tmp_path: Path) -> Iterator[RedisSite]:
    site = RedisSite(tmp_path, migrated, servers.primary(), FAULTS_REDIS=servers.url, FAULTS_LEASE="5")
    yield site
    site.close()


@pytest.mark.parametrize(
    "how", ["killed", *(pytest.param(how, marks=pytest.mark.long) for how in ("hangs", "hands over"))]
)
def test_a_fail_over_under_load_loses_no_transactional_job_and_all_go_on_by_themselves(
    site: RedisSite, servers: SentinelSet, chance: random.Random, how: str
) -> None:
    hueys = [site.run_huey(*QUEUES, "--processes", "work=2") for _ in range(2)]
    calls = ("sell", "lambda: sell(delay=0.5)", "lambda: sell(key=str(time.time()))", "lambda: sell(delay=3)")
    with Customer(site.console(), calls) as customer:
        wait_for(lambda: len(customer.accepted) > chance.randint(20, 60))
        old, began, failed = servers.primary(), time.monotonic(), time.time()
        _let_it_fail(servers, FAULTS[how])
        # the rest of the test asks the new one
        site.move_to(servers.primary())
        wait_for(lambda: _runs_what_is_new(site, customer), what="the new primary is worked on")
        print(f"{how}: {time.monotonic() - began:.1f} s until jobs accepted on the new primary ran")
        if how == "killed":
            old.start()
        elif how == "hangs":
            os.kill(old.process.pid, signal.SIGCONT)
        # what it takes before it is made a replica is gone, and must be found
        wait_for(lambda: servers.role(old) == "slave")
        healed, accepted = time.time(), len(customer.accepted)
        wait_for(lambda: len(customer.accepted) > accepted + 20)
    print(f"{len(customer.accepted)} accepted, {customer.refused} refused, longest call {customer.longest:.2f} s")
    # replicas are some milliseconds behind
    check_ledger(site, customer.accepted, lost_tail=(failed - 1.0, healed))
    runs = Counter(line.job for line in site.ledger())
    print(f"{runs.total() - len(runs)} runs more than jobs")
    assert customer.refused == 0
    assert all(huey.process.poll() is None for huey in hueys)
    assert [huey.count("child_ended") for huey in hueys] == [0, 0]


def _let_it_fail(servers: SentinelSet, how: signal.Signals | None) -> None:
    if how is None:
        servers.hand_over()
    else:
        servers.fail_over(how)


def _runs_what_is_new(site: RedisSite, customer: Customer) -> bool:
    ran = {line.job for line in site.ledger("end")}
    return any(id in ran for id in customer.accepted[-20:])
