"""What keeps `run_huey` from starting is one sentence and exit code 78 (75: try again later), never a loop."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.servers import RedisServer

from .harness import NET, ROOT, Site, some_time, wait_for
from .ledger import check_ledger

MakeSite = Callable[..., Site]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--queue", "emial"], "queue 'emial' is not defined; queues are: other, paced, work"),
        (["--concurrency", "work=many"], "--concurrency work=many: expected NAME=N with N from 1 to 1,000"),
        (["--concurrency", "wrok=2"], "queue 'wrok' is not defined"),
        (["--processes", "work=0"], "--processes work=0: expected NAME=N with N from 1 to 64"),
        (["--queue", "other", "--processes", "work=2"], "queue 'work' is not worked on here; add --queue work"),
    ],
)
def test_wrong_option_is_one_sentence(site: Site, words: list[str], sentence: str) -> None:
    done = site.manage("run_huey", *words)
    assert done.returncode == os.EX_CONFIG
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_missing_migrations_are_one_sentence(make_site: MakeSite) -> None:
    site = make_site()
    site.database.unlink()
    done = site.manage("run_huey")
    assert done.returncode == os.EX_CONFIG
    assert "run `manage.py migrate`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("redis://127.0.0.1:1/0", os.EX_TEMPFAIL, r"Redis cannot be used \(.*check REDIS_URL"),
        pytest.param(
            *("sentinel://127.0.0.1:1,127.0.0.1:2/main", os.EX_TEMPFAIL, r"no Sentinel names the primary of .* 'main'"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("redis://:hunter2@{server}/0", os.EX_TEMPFAIL, r"refuses the user or the password of redis://"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("sentinel://a;sentinel://b/main", os.EX_CONFIG, r"is no address of a Redis server: .*redis\+sentinel://"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["away", "no-sentinel", "password", "nonsense"],
)
def test_redis_that_cannot_be_used_is_one_sentence(
    make_site: MakeSite, redis_server: RedisServer, url: str, code: int, sentence: str
) -> None:
    done = make_site(FAULTS_REDIS=url.format(server=f"127.0.0.1:{redis_server.port}")).manage("run_huey")
    assert done.returncode == code, done.stderr
    assert re.search(sentence, done.stderr)
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_database_that_cannot_be_opened_is_one_sentence(site: Site) -> None:
    site.database.unlink()
    site.database.mkdir()
    done = site.manage("run_huey")
    assert done.returncode == os.EX_TEMPFAIL
    assert "unable to open database file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_configuration_error_of_a_child_is_not_retried(site: Site, chance: random.Random) -> None:
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap.enqueue(2)")
    wait_for(lambda: site.starts(job))
    some_time(chance)
    (site.folder / "broken").touch()
    os.kill(huey.child("work/1"), signal.SIGKILL)

    assert huey.process.wait(NET) == os.EX_CONFIG
    assert huey.count("child_started work/1") == 2
    assert "Wrong configuration: the file 'broken' exists" in huey.log
    (site.folder / "broken").unlink()
    site.run_huey("--queue", "work")
    check_ledger(site)


@pytest.mark.slow
def test_changed_code_restarts_the_children_and_not_the_supervisor(make_site: MakeSite) -> None:
    site = make_site(FAULTS_DEBUG="1")
    (site.folder / "module.py").write_text("one = 1\n")
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("nap.enqueue(2)")
    wait_for(lambda: site.starts(job))
    (site.folder / "module.py").write_text("one = 1 + 0\n")

    wait_for(lambda: len(huey.started("work/1")) == 2)
    assert "code_changed file=module.py" in huey.log
    assert site.job(job)["state"] == "completed"
    assert huey.process.poll() is None
    check_ledger(site)


@pytest.mark.slow
def test_child_that_cannot_start_waits_for_the_next_change(make_site: MakeSite) -> None:
    site = make_site(FAULTS_DEBUG="1")
    (site.folder / "module.py").write_text("one = 1\n")
    huey = site.run_huey("--queue", "work")
    (site.folder / "broken").touch()
    (site.folder / "module.py").write_text("one = 12\n")
    wait_for(lambda: huey.count("waiting for a change of code") == 2)
    assert len(huey.started("work/1")) == 2
    (site.folder / "broken").unlink()
    (site.folder / "module.py").write_text("one = 123\n")

    wait_for(lambda: huey.count("worker_started") == 2)
    assert len(huey.started("work/1")) == 3
    site.enqueue("nap.enqueue_many([0.0] * 3)")
    check_ledger(site)


@pytest.mark.slow
def test_reader_who_has_seen_enough_ends_a_listing_without_a_traceback(site: Site) -> None:
    site.python("blink.using(delay=3600).enqueue_many([()] * 2000); print(1)")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "jobs", "list", "--limit", "2000"],
        cwd=ROOT,
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("id")
    process.stdout.close()
    # as other tools end, whose reader has left
    assert (process.wait(NET), process.stderr.read()) == (-signal.SIGPIPE, "")
    process.stderr.close()
