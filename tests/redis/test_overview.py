"""The overview with the jobs in Redis: what workers run now is what Redis says, whatever the history knows."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import User
from jobs import defined
from jobs.admin.overview import forget_looks
from jobs.broker.records import Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.history import facts
from jobs.history.running import held_by
from tests.contract.hands import Hands

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")
PART = "/admin/jobs/job/overview/"


@pytest.fixture
def hands(broker: RedisBroker) -> Hands:
    broker.wipe("email", force=True)
    hands = Hands(broker)
    hands.policy = defined.queues()["email"].policy
    hands.worker = hands.new_worker()
    return hands


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org"))
    return client


def card(client: Client) -> str:
    forget_looks()
    page = " ".join(client.get(PART).content.decode().split())
    return page.partition('data-live-key="queue-email"')[2].partition("</section>")[0]


def numbers(client: Client) -> dict[str, str]:
    return dict(re.findall(r"queue=email&amp;state=(\w+)\">([\d,–]+)</a>", card(client)))


def test_what_a_worker_runs_is_told_before_the_history_knows_the_jobs(hands: Hands, client: Client) -> None:
    for _ in range(3):
        hands.push()
    (job,) = hands.claim(1)
    held = held_by({hands.worker: "email"})
    assert [(one.id, one.task) for one in held[hands.worker]] == [(job.id, job.task)]
    assert held[hands.worker][0].since == job.claimed_at
    forget_looks()
    page = " ".join(client.get(PART).content.decode().split())
    row = page.partition(f'data-live-key="{hands.worker}"')[2].partition("</tr>")[0]
    assert f'href="/admin/jobs/job/{job.id}/change/">{job.task}' in row
    found = numbers(client)
    assert (found["waiting"], found["active"]) == ("2", "1")


def test_jobs_between_two_attempts_read_as_retrying(hands: Hands, broker: RedisBroker, client: Client) -> None:
    for _ in range(3):
        hands.push()
    (job,) = hands.claim(1)
    hands.settle(job, Retried(60.0, "no"))
    facts.catch_up(broker, hands.policy)
    found = numbers(client)
    assert (found["waiting"], found["scheduled"], found["retrying"], found["active"]) == ("2", "0", "1", "0")
