"""Encrypted arguments and results: nobody reads them in a store, a page or a log, and whoever has the key works on."""

from __future__ import annotations

import json
import re
from datetime import date
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction

from jobs import Batch, InvalidTask, PermanentError, Queue, Subject, chain, current_job, erase_jobs, retry
from jobs.broker import get_broker
from jobs.checks import check_jobs
from jobs.conf import jobs_settings
from jobs.define import sealing
from jobs.errors import CannotDecrypt
from jobs.history import lookup
from jobs.models import Attempt, Edge, Job
from jobs.testing import run_jobs
from tests.each_broker import each_broker as each_broker
from tests.each_broker import redis_client

FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = "ada@lovelace.example"
vault = Queue("vault", attempts=1)
seen: list[Any] = []


@vault.task(name="vault.write", encrypted=True)
def write(address: str, born: date | None = None, *more: str, **named: int) -> dict[str, str]:
    seen.append((address, born, more, named))
    if named.get("fails"):
        raise PermanentError(f"no such address: {address}")
    with current_job().step("look") as step:
        if not step.done:
            step.save(f"looked at {address}")
    return {"written": address, "step": step.result}


@vault.task(name="vault.keep", encrypted=("address",), unique=("address",))
def keep(number: int, address: str) -> str:
    seen.append((number, address))
    return address


@vault.task(name="vault.follow", encrypted=("address",), sequence="address")
def follow(address: str) -> None: ...


@vault.task(name="vault.read")
def read() -> str:
    (one,) = current_job().after
    return str(one.result["written"]).upper()


@vault.task(name="vault.count")
def count(text: str) -> int:
    return len(text)


@pytest.fixture
def site(settings: Any) -> Any:
    return settings


@pytest.fixture(autouse=True)
def keys(site: Any) -> None:
    seen.clear()
    site.JOBS = {**site.JOBS, "ENCRYPTION_KEYS": [FIRST]}


def use(site: Any, *keys: str) -> None:
    site.JOBS = {**site.JOBS, "ENCRYPTION_KEYS": list(keys)}


def everything_stored() -> str:
    """All that SQL and Redis hold."""
    held: list[Any] = []
    tables = connection.introspection.table_names()
    with connection.cursor() as cursor:
        for table in tables:
            if table.startswith("jobs_"):
                cursor.execute(f'SELECT * FROM "{table}"')
                held += cursor.fetchall()
    if not get_broker().rows_are_the_queue:
        with redis_client() as client:
            for key in client.scan_iter():
                try:
                    held.append(client.dump(key))
                except Exception:
                    held.append(key)
                kind = client.type(key)
                if kind == b"hash":
                    held.append(client.hgetall(key))
                elif kind == b"stream":
                    held.append(client.xrange(key))
    return repr(held).lower()


def test_arguments_results_and_steps_are_ciphertext_in_every_store(each_broker: str) -> None:
    with transaction.atomic():
        first = write.enqueue(SECRET, date(1815, 12, 10), "more of " + SECRET, age=36)
        assert "lovelace" not in everything_stored()
    second = write.enqueue(address=SECRET)
    assert "lovelace" not in everything_stored()
    assert first.args[:2] == [SECRET, "1815-12-10"]
    run_jobs()
    assert seen[0] == (SECRET, date(1815, 12, 10), ("more of " + SECRET,), {"age": 36})
    assert seen[1] == (SECRET, None, (), {})
    assert second.result() == {"written": SECRET, "step": f"looked at {SECRET}"}
    assert "lovelace" not in everything_stored()


def test_failure_tells_no_secret_and_retry_and_edit_keep_it(each_broker: str) -> None:
    handle = write.enqueue(SECRET, fails=1)
    run_jobs()
    assert handle.error == "PermanentError: no such address: ***"
    assert "lovelace" not in everything_stored()
    retry(handle, arguments={"fails": 0})
    run_jobs()
    assert handle.result()["written"] == SECRET
    later = write.using(delay=60).enqueue(SECRET)
    later.edit(address="grace@hopper.example")
    assert "hopper" not in everything_stored()
    later.promote()
    run_jobs()
    assert later.result()["written"] == "grace@hopper.example"


def test_pages_and_commands_show_a_mask(each_broker: str) -> None:
    handle = write.enqueue(SECRET)
    run_jobs()
    row = handle.refresh()
    assert [one.value for one in lookup.arguments(row)] == ["***"]
    assert lookup.shown_result(row) == "***"
    out = StringIO()
    call_command("jobs", "show", str(handle.id), "--json", stdout=out)
    assert "lovelace" not in out.getvalue()
    assert "gAAAA" not in out.getvalue()


def test_key_and_sequence_of_an_encrypted_argument_are_hashes_and_hold(each_broker: str) -> None:
    first = keep.enqueue(1, SECRET)
    assert keep.enqueue(2, SECRET) == first
    assert [follow.enqueue(SECRET).state for _ in range(2)] == ["queued", "blocked"]
    assert "lovelace" not in everything_stored()
    run_jobs()
    assert seen == [(1, SECRET)]
    assert first.result() == SECRET
    assert keep.key_of(1, SECRET) == keep.key_of(2, SECRET)


def test_flow_passes_results_on(each_broker: str) -> None:
    _written, told = chain(write.bind(SECRET), read.bind()).enqueue()
    with Batch("letters") as batch:
        batch.add_many([write.bind(SECRET), write.bind("grace@hopper.example")])
    _first, counted = vault.enqueue(keep.s(1, SECRET).then(count))
    assert "lovelace" not in everything_stored()
    run_jobs()
    assert told.result() == SECRET.upper()
    assert counted.result() == len(SECRET)
    assert batch.counts.completed == 2
    assert all("lovelace" not in str(result).lower() for result in Edge.objects.values_list("result", flat=True))


def test_keys_are_rotated(each_broker: str, site: Any) -> None:
    ended = write.enqueue(SECRET)
    run_jobs()
    waits = write.enqueue(SECRET)
    use(site, SECOND, FIRST)
    new = write.enqueue(SECRET)
    run_jobs()
    assert [one.result()["written"] for one in (ended, waits, new)] == [SECRET] * 3
    use(site, SECOND)  # by which all that runs has been written
    assert [one.result()["written"] for one in (waits, new)] == [SECRET] * 2
    with pytest.raises(CannotDecrypt, match="JOBS_ENCRYPTION_KEYS"):
        ended.result()


@pytest.mark.parametrize("left", [(), (SECOND,)])
def test_job_whose_key_a_worker_has_not_waits_and_then_is_a_dead_letter(
    each_broker: str, site: Any, left: tuple[str, ...]
) -> None:
    handle = write.enqueue(SECRET)
    use(site, *left)
    run_jobs()
    row = handle.refresh()
    assert (row.state, seen) == ("queued", [])
    assert "JOBS_ENCRYPTION_KEYS" in row.reason
    site.JOBS = {**site.JOBS, "UNKNOWN_GRACE": 0}
    run_jobs(include_scheduled=True)
    assert handle.state == "failed"
    assert "argument address of vault.write" in handle.error
    assert "JOBS_ENCRYPTION_KEYS" in handle.error
    use(site, FIRST)
    retry(handle)
    run_jobs()
    assert handle.result()["written"] == SECRET


def test_job_of_the_time_before_encryption_runs_too(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "seal_json", lambda value: json.loads(value))
        handle = write.enqueue(SECRET)
    run_jobs()
    assert handle.result()["written"] == SECRET


def test_text_that_looks_like_ciphertext_travels_as_it_is(each_broker: str) -> None:
    handle = write.enqueue(f"{sealing.MARK}gAAAA")
    run_jobs()
    assert handle.result()["written"] == f"{sealing.MARK}gAAAA"


def test_person_is_erased_from_encrypted_arguments(each_broker: str) -> None:
    waiting, ended, other = (
        write.using(delay=60).enqueue(SECRET),
        write.enqueue(SECRET),
        write.enqueue("grace@x.example"),
    )
    run_jobs()
    erased = erase_jobs([Subject("leads.lead", "7")], [SECRET])
    assert erased.jobs == 2
    assert waiting.state == "cancelled"
    assert sealing.MARK not in ended.refresh().message
    assert other.result()["written"] == "grace@x.example"


def test_example_of_the_docs_runs(each_broker: str) -> None:
    text = (settings.BASE_DIR / "docs" / "tasks.md").read_text(encoding="utf-8").split("## Encrypted arguments")[1]
    (block,) = re.findall(r"```python\n(.*?)```", text.split("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {"__name__": "letters", "Queue": Queue, "run_jobs": run_jobs}
    exec(compile(block, "docs/tasks.md", "exec"), names)
    names["test_nobody_reads_the_letter_in_the_database"]()


def test_task_without_keys_is_an_error_that_names_the_variable(
    site: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.checks.queues", lambda: {"vault": vault})
    assert [one.id for one in check_jobs() if one.id == "jobs.E016"] == []
    use(site)
    (error,) = [one for one in check_jobs() if one.id == "jobs.E016"]
    assert "JOBS_ENCRYPTION_KEYS" in error.msg
    assert "vault.write" in error.msg
    with pytest.raises(ImproperlyConfigured, match="JOBS_ENCRYPTION_KEYS"):
        write.enqueue(SECRET)
    assert not Job.objects.exists()
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("wrong", ["", "short", "x" * 44, f"{FIRST[:-1]}x", 7], ids=range(5))
def test_wrong_key_is_refused_and_not_quoted(site: Any, wrong: Any) -> None:
    use(site, FIRST, wrong)
    with pytest.raises(ImproperlyConfigured, match="JOBS_ENCRYPTION_KEYS: key 2") as error:
        jobs_settings()
    assert FIRST not in str(error.value)
    use(site, FIRST)
    assert FIRST not in repr(jobs_settings())


@pytest.mark.parametrize("wrong", ["address", ("nobody",), 7, ()])
def test_wrong_names_are_refused(wrong: Any) -> None:
    if wrong == ():
        assert vault.task(name="vault.none", encrypted=wrong)(lambda_task).encrypted == frozenset()
        return
    with pytest.raises(InvalidTask, match="encrypted="):
        vault.task(name="vault.wrong", encrypted=wrong)(lambda_task)


def lambda_task(address: str) -> None: ...
