"""Jobs in a project's own tests: run them, look at them, move the clock, without a worker.

In a plain `django.test.TestCase`, whose transaction never commits, and in transactional tests alike:

    class SignUp(TestCase):
        def test_sign_up_welcomes(self):
            sign_up("ada@example.org")
            assert_enqueued(send_welcome)
            run_jobs()
            self.assertEqual(len(mail.outbox), 1)

With pytest the fixtures `jobs_runner` and `jobs_clock` are there once Esteira is installed; in a checkout, with
`pytest_plugins = ["jobs.testing"]` in the top `conftest.py`. Beside the stations of a job's life.
"""

from __future__ import annotations

from contextlib import suppress

from ..apps import close_own_connections
from .enqueued import AnyTask, assert_enqueued, assert_nothing_enqueued, enqueued
from .moved_clock import Clock, fake_time
from .run import Drained, drain, inline, run_jobs

with suppress(ImportError):  # plain Django tests need no pytest
    from pytest_esteira import jobs_clock as jobs_clock
    from pytest_esteira import jobs_runner as jobs_runner

__all__ = [
    "AnyTask",
    "Clock",
    "Drained",
    "JobsRunner",
    "assert_enqueued",
    "assert_nothing_enqueued",
    "close_connections",
    "drain",
    "enqueued",
    "fake_time",
    "inline",
    "run_jobs",
]


def close_connections() -> None:
    """Close the connections to databases that the engine holds open itself in this process; it opens them again.

    Django's test runner and pytest-django need no help: the engine makes way when they create, copy or drop a test
    database. This is for tests that drop or copy one in a way of their own.
    """
    close_own_connections()


class JobsRunner:
    """What the pytest fixture `jobs_runner` hands out: the functions of this module."""

    run = staticmethod(run_jobs)
    drain = staticmethod(drain)
    enqueued = staticmethod(enqueued)
    assert_enqueued = staticmethod(assert_enqueued)
    assert_nothing_enqueued = staticmethod(assert_nothing_enqueued)
    inline = staticmethod(inline)
