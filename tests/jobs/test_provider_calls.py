"""Counting a call never fails it, holds nobody up, and loses nothing: in an event loop, a transaction, a fork."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from jobs import provider_call
from jobs.history import provider_calls
from jobs.history.providers import calls_by_provider
from jobs.models import ProviderFailure
from tests.faults.harness import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _writes_soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(provider_calls, "EVERY", 0.05)
    monkeypatch.setattr(provider_calls, "_is_kept", False)
    yield
    provider_calls.finish_calls(10)


def counted() -> dict[str, int]:
    found = calls_by_provider().get("parcels")
    return {} if found is None else dict(found.by_outcome)


def test_an_event_loop_does_not_wait_for_the_database_and_its_calls_are_written() -> None:
    async def call() -> str:
        with provider_call("parcels"):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError), provider_call("parcels"):
            raise TimeoutError
        return "through"

    assert asyncio.run(call()) == "through"
    wait_for(lambda: counted() == {"ok": 1, "failed": 1}, 10)
    assert ProviderFailure.objects.get().error_type == "TimeoutError"


def test_the_thread_ends_with_its_connection_when_nobody_calls_and_another_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provider_calls, "IDLE", 0.1)
    provider_calls.keep_calls()
    for number in (1, 2):
        with provider_call("parcels"):
            pass
        wait_for(lambda: provider_calls._writer is None, 10)
        assert counted() == {"ok": number}


def fail() -> None:
    with suppress(ValueError), provider_call("parcels"):
        raise ValueError


def test_in_a_transaction_nothing_is_written_before_its_commit_so_that_nobody_waits_for_it() -> None:
    fail()
    with transaction.atomic():
        with CaptureQueriesContext(connection) as queries:
            fail()
        assert not queries
        if connection.vendor == "postgresql":  # on SQLite a transaction keeps all others from writing anyway
            other = Thread(target=lambda: (fail(), connections.close_all()))
            other.start()
            other.join(10)
            assert counted() == {"failed": 2}
    expected = 3 if connection.vendor == "postgresql" else 2
    assert counted() == {"failed": expected}
    with suppress(ZeroDivisionError), transaction.atomic():
        fail()
        raise ZeroDivisionError
    assert counted() == {"failed": expected}


def test_what_breaks_a_write_neither_ends_the_thread_nor_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def breaks(*args: object) -> None:
        tried.append(args)
        raise UnicodeEncodeError("utf-8", "", 0, 1, "no")

    provider_calls.keep_calls()
    with monkeypatch.context() as patch:
        patch.setattr(provider_calls, "add_counts", breaks)
        with provider_call("parcels"):
            pass
        wait_for(lambda: len(tried) > 2, 10)
    wait_for(lambda: counted() == {"ok": 1}, 10)


def test_a_forked_child_counts_for_itself_whatever_its_parent_was_doing() -> None:
    provider_calls.keep_calls()
    connections.close_all()
    with provider_calls._lock:  # as if another thread was just counting
        child = os.fork()
        if not child:
            with suppress(BaseException), provider_call("parcels"):
                pass
            connections.close_all()
            os._exit(0)
    done = Thread(target=os.waitpid, args=(child, 0), daemon=True)
    done.start()
    done.join(10)
    assert not done.is_alive()
    assert counted() == {"ok": 1}
