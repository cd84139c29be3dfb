"""`manage.py jobs reschedule | priority | edit | discard` on each broker."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from jobs import clock
from tests.life_cycle.lane import fail, note, run_jobs


def document(*words: str) -> Any:
    out = StringIO()
    call_command("jobs", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def refusal(*words: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        call_command("jobs", *words, stdout=StringIO())
    return str(caught.value), caught.value.returncode


def test_jobs_are_changed_by_their_ids() -> None:
    handles = [note.enqueue("a", secret="s3cret"), note.enqueue("b")]
    ids = [str(handle.id) for handle in handles]
    at = clock.now() + timedelta(hours=5)
    assert document("reschedule", *ids, "--at", at.isoformat()) == [{"id": id, "done": "rescheduled"} for id in ids]
    assert document("priority", *ids, "--to", "1")[0]["done"] == "given another priority"
    person = str(uuid4())
    assert document("edit", ids[0], "--kwargs", json.dumps({"person": person}))[0]["done"] == "edited"
    job = handles[0].job
    assert (job.ready_at, job.priority, job.kwargs) == (at, 1, {"secret": "s3cret", "person": person})
    document("reschedule", *ids, "--delay", "0")
    assert run_jobs() == handles


def test_what_is_wrong_is_said_in_one_sentence_that_keeps_what_is_personal() -> None:
    id = str(note.enqueue("a", secret="s3cret").id)
    assert (
        refusal("reschedule", id)[1] == refusal("reschedule", id, "--delay", "1", "--at", "2030-01-01T00:00Z")[1] == 2
    )
    assert refusal("edit", id, "--kwargs", '{"number": "many"}')[1] == 1
    sentence, code = refusal("edit", id, "--kwargs", '{"secret": 77}')
    assert (code, "77" in sentence, "s3cret" in sentence) == (1, False, False)
    run_jobs()
    assert "only a job that waits can be changed" in refusal("priority", id, "--to", "1")[0]


def test_dead_letters_and_ended_jobs_are_discarded() -> None:
    dead, done = str(fail.enqueue("bad").id), str(note.enqueue("a").id)
    run_jobs()
    assert [line["done"] for line in document("discard", dead, done)] == ["discarded", "removed"]
    assert "is not known" in refusal("discard", done)[0]
