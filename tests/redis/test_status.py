"""What the status knows of processes and of the history, when the jobs are in Redis."""

from datetime import timedelta

import pytest

from jobs import clock
from jobs.broker.records import ProcessRecord
from jobs.history.status.report import report
from jobs.keep import merge, see
from jobs.models import Process
from tests.contract.hands import Hands

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")


def test_processes_are_noted_with_what_they_reported_and_go_when_they_are_gone(broker, hands):
    keeper = ProcessRecord(clock.new_id(), "keeper", "", "host", 43)
    broker.register(keeper, 30)
    broker.report_trouble(hands.worker, "too many clients")
    broker.report_dropped(hands.worker, 7)
    assert see.run() == 2
    worker = Process.objects.get(pk=hands.worker)
    assert (worker.kind, worker.queue, worker.host, worker.pid, worker.concurrency) == (
        "worker",
        "lane",
        "host",
        42,
        10,
    )
    assert (worker.trouble, worker.news_dropped) == ("too many clients", 7)
    assert worker.trouble_since >= worker.started_at
    assert worker.lease_until > broker.now()
    Process.objects.filter(pk=keeper.id).update(duties_at=broker.now())
    broker.report_trouble(hands.worker, "")
    see.run()
    assert Process.objects.get(pk=hands.worker).trouble == ""
    assert Process.objects.get(pk=keeper.id).duties_at is not None
    broker.release(hands.record(hands.worker), lost=False)
    Process.objects.update(lease_until=broker.now() - timedelta(seconds=1))
    assert see.run() == 1
    assert [process.kind for process in Process.objects.all()] == ["keeper"]


def test_registering_again_keeps_since_when_a_process_is_known(broker, hands):
    started = broker.processes()[0].started_at
    broker.register(hands.record(hands.worker), 30)
    broker.renew([hands.worker], 60)
    (again,) = broker.processes()
    assert again.started_at == started
    assert again.lease_until > again.renewed_at > started


def test_report_says_how_far_the_history_is_behind(broker):
    hands = Hands(broker)
    hands.policy = merge.policy_of("email")
    hands.push()
    merge.merge_queue(broker, hands.policy, merge.Forgetting())
    assert report().history_lag == 0
    hands.push()
    assert report().history_lag > 0
    merge.merge_queue(broker, hands.policy, merge.Forgetting())
    assert report().history_lag == 0
