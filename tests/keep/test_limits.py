from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import Queue, RateLimit
from jobs.broker import get_broker
from jobs.keep import limits
from jobs.models import Grant, GroupState, Job, QueueState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def defined(monkeypatch: pytest.MonkeyPatch) -> None:
    queues = {"paced": Queue("paced", rate_limit=RateLimit(1)), "free": Queue("free")}
    monkeypatch.setattr(limits, "queues", lambda: queues)


def granted(queue: str, *, days_ago: float) -> None:
    moment = get_broker().now() - timedelta(days=days_ago)
    Grant.objects.create(queue=queue, number=1, granted_at=moment, start_by=moment)
    QueueState.objects.create(queue=queue, taken=1)


def test_grants_of_queues_without_a_limit_are_forgotten_after_a_quiet_day() -> None:
    granted("free", days_ago=1.1)
    granted("renamed", days_ago=2)
    assert limits.run() == 2
    assert not Grant.objects.exists()
    assert set(QueueState.objects.values_list("taken", flat=True)) == {None}


def test_grants_that_another_machine_may_know_a_limit_for_stay_and_those_of_a_limited_queue() -> None:
    granted("free", days_ago=0.9)
    granted("paced", days_ago=3)
    assert limits.run() == 0
    assert Grant.objects.count() == 2


def test_what_an_empty_group_has_left_is_forgotten() -> None:
    now = get_broker().now()
    for subject, seconds in (("gold", 200), ("gnew", 30), ("", 30), ("lhubspot", 200)):
        moment = now - timedelta(seconds=seconds)
        Grant.objects.create(queue="paced", subject=subject, number=1, granted_at=moment, start_by=moment)
    past, ahead = now - timedelta(seconds=1), now + timedelta(hours=1)
    GroupState.objects.create(queue="paced", name="waited", wait_until=past, wait_from=past)
    GroupState.objects.create(queue="paced", name="waits", wait_until=ahead, wait_from=past)
    GroupState.objects.create(queue="paced", name="bounded", wait_until=past, wait_from=past, concurrency=1)
    QueueState.objects.create(queue="paced", turns='{"0": "old"}')
    QueueState.objects.create(queue="free", turns='{"0": "old"}')
    job = get_broker().now()
    Job.objects.create(queue="free", task="t", state="queued", message="{}", created_at=job, ready_at=job, lane="a")
    limits.run()
    assert set(Grant.objects.values_list("subject", flat=True)) == {"gnew", "", "lhubspot"}
    assert set(GroupState.objects.values_list("name", flat=True)) == {"waits", "bounded"}
    assert dict(QueueState.objects.values_list("queue", "turns")) == {"paced": "", "free": '{"0": "old"}'}
