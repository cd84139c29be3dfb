"""A limited queue on a disk whose commits take longer than the pace guard (G7)."""

import time

import pytest
from django.db import connection

from jobs import clock
from jobs.broker.contract import PACE_GUARD
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.guard import Guard
from jobs.broker.records import HandedBack
from jobs.policy import QueuePolicy, RateLimit
from tests.contract.hands import Hands
from tests.databases import default_is, migrated_settings
from tests.servers import PostgresqlServer, need_postgresql

COMMIT = 0.060
PACED = QueuePolicy("lane", rate_limit=RateLimit(10, per=1))


@pytest.fixture
def broker_on_a_slow_disk(transactional_db):
    """A server that waits 60 ms in every commit that changed something."""
    slow = {"fsync": "on", "commit_delay": str(int(COMMIT * 1e6)), "commit_siblings": "0"}
    server = PostgresqlServer.create(need_postgresql())
    server.start()
    settings = migrated_settings(server, "slow_disk")
    server.settings.update(slow)
    server.restart()
    with default_is(settings):
        broker = DatabaseBroker("default")
        yield broker
        broker.close()
        connection.close()
    server.remove()


@pytest.mark.slow
def test_slow_commits_neither_starve_a_limited_queue_nor_break_its_pace(broker_on_a_slow_disk):
    broker = broker_on_a_slow_disk
    hands = Hands(broker)
    hands.push_all([hands.new_job() for _ in range(80)])
    starts, too_late, settlements = [], 0, []
    until = time.monotonic() + 6
    while time.monotonic() < until:
        answer = hands.exchange(*settlements, policy=PACED)
        settlements = []
        for job in answer.jobs:
            began = clock.monotonic()
            if began > job.start_by:
                too_late += 1
                settlements.append(hands.settlement(job, HandedBack("too late"), started=False))
            else:
                starts.append(began)
        if not answer.jobs and answer.wait:
            time.sleep(answer.wait)  # as a worker does
    gaps = [later - earlier for earlier, later in zip(starts, starts[10:], strict=False)]
    print(f"{len(starts)} starts, {too_late} too late, 11 starts never closer than {min(gaps):.3f} s")
    assert min(gaps) >= 1.0
    # the first grant teaches it how long commits take; a disk that gets slower yet may teach it again
    assert len(starts) >= 40
    assert too_late <= 30


def test_one_slow_commit_is_an_accident_and_two_are_how_it_is_here():
    guard = Guard()
    for seconds in (0.002, 0.003, 0.5, 0.002):
        guard.learn(seconds)
    assert guard.seconds == PACE_GUARD
    guard.learn(0.1)  # the second of eight
    assert guard.seconds == pytest.approx(0.16)
    for _ in range(8):
        guard.learn(0.002)
    assert guard.seconds == PACE_GUARD


def test_a_grant_with_a_longer_guard_keeps_its_slot_longer(django_db_setup, transactional_db):
    broker = DatabaseBroker("default")
    hands, policy = Hands(broker), QueuePolicy("lane", rate_limit=RateLimit(1, per=0.2))
    hands.push_all([hands.new_job() for _ in range(3)])
    for _ in range(2):
        broker._guards["lane"].learn(0.2)
    first = hands.claim_one(policy=policy)
    assert first.start_by - clock.monotonic() > 0.2
    while not (later := hands.claim(1, policy=policy)):
        time.sleep(hands.exchange(policy=policy).wait or 0.001)
    assert (later[0].claimed_at - first.claimed_at).total_seconds() >= 0.2 + 0.31
    broker.close()
