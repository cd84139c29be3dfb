"""REDIS_URL moves the queues to Redis with no other change."""

import pytest
from django.core.management import call_command

from jobs import Queue
from jobs.broker import forget_broker, get_broker
from jobs.broker.redis.broker import RedisBroker

pytestmark = pytest.mark.usefixtures("each_database")
lane = Queue("setting_lane")


@lane.task(name="setting.echo")
def echo(text: str) -> str:
    return text


def test_the_setting_alone_moves_the_queues_and_namespaces_are_apart(server, client, settings):
    settings.JOBS = {**settings.JOBS, "REDIS_URL": server.url(), "NAMESPACE": "site-a"}
    forget_broker()
    try:
        assert isinstance(get_broker(), RedisBroker)
        echo.enqueue("here")
        assert {key.split(b"}")[0] for key in client.scan_iter()} == {b"{site-a:setting_lane", b"{site-a:_"}
        assert get_broker().counts("setting_lane").waiting == 1
        call_command("jobs", "pause", "email")
        assert get_broker().counts("email").paused
    finally:
        forget_broker()
