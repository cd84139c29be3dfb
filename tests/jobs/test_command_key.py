"""`manage.py jobs enqueue --key` and `manage.py jobs key`."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs import JobHandle, Queue

pytestmark = pytest.mark.django_db(transaction=True)


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", *words, stdout=out)
    return out.getvalue()


def document(*words: str) -> Any:
    return json.loads(say(*words, "--json"))


def refusal(*words: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        call_command("jobs", *words, stdout=StringIO())
    return str(caught.value), caught.value.returncode


def test_enqueue_with_a_key_says_which_job_stands_for_the_call_and_key_finds_and_releases_it(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    @queue.task(name="command.paint")
    def paint(color: int) -> None: ...

    monkeypatch.setattr("jobs.defined.queues", lambda: {queue.name: queue})
    enqueue = ("enqueue", "command.paint", "--key", "k", "--replace", "--delay", "60", "--args")
    first = document(*enqueue, "[1]")
    second = document(*enqueue, "[2]")
    assert (first["created"], second["created"], second["id"]) == (True, False, first["id"])
    assert JobHandle(first["id"]).args == [2]
    assert f"job {first['id']} of queue" in say(*enqueue, "[3]")
    found = {"queue": queue.name, "id": first["id"]}
    assert document("key", queue.name, "k") == {**found, "released": False}
    assert document("key", queue.name, "k", "--release") == {**found, "released": True}
    sentence, code = refusal("key", queue.name, "k")
    assert (code, "has this key" in sentence) == (1, True)
    sentence, code = refusal("enqueue", "command.paint", "--args", "[1]", "--rerun")
    assert (code, "rerun=" in sentence) == (1, True)
