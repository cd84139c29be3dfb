"""The command line on any terminal: its encoding, its width, a reader who leaves; nothing that steers it gets there."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db import connection, connections
from django.utils import translation

from jobs import clock
from jobs.command_line import LineFormatter, TranslatedCommand
from jobs.models import Attempt, Job
from jobs.visible import visible, visible_json

WILD = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\b\x7f\u202e\u2066\u200f\u2028\x85\nnext 😀 ção"


def run(monkeypatch: pytest.MonkeyPatch, encoding: str, *words: str) -> tuple[str, str, int]:
    """What a program with such a terminal writes and ends with."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    monkeypatch.setattr(connections, "close_all", lambda: None)
    command = load_command_class(get_commands()[words[0]], words[0])
    try:
        # the checks would ask the other database, of which this test has none
        skipped = [] if "--help" in words else ["--skip-checks"]
        command.run_from_argv(["manage.py", words[0], *skipped, *words[1:]])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    said = []
    for stream in streams:
        stream.flush()
        said.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    return said[0], said[1], code


def failed_job(**values: Any) -> Job:
    now = clock.now()
    given: dict[str, Any] = {"queue": "email", "task": "emails.send_welcome", "state": "failed", "message": "{}"}
    given |= {"created_at": now, "ready_at": now, "ended_at": now, "error": WILD, "reason": WILD, "key": WILD} | values
    job = Job.objects.create(**given)
    Attempt.objects.create(job=job, outcome="failed", ended_at=now, error=WILD, traceback=f"one\n\t{WILD}", worker=WILD)
    return job


def clean(text: str) -> bool:
    return all(one == "\n" or one.isprintable() for one in text.replace("\t", " "))


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_shows_every_text_and_no_control_sequence(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    job = failed_job()
    for words in (["list"], ["show", str(job.pk)], ["status"], ["retry", str(clock.new_id())], ["list", "\x1b[2J😀"]):
        with translation.override("pt-br"):
            out, err, code = run(monkeypatch, encoding, "jobs", *words)
        assert clean(out + err), words
        assert "Traceback" not in err
        assert code in (0, 1, 2)
    out, _err, _code = run(monkeypatch, encoding, "jobs", "show", str(job.pk))
    assert "\\x1b[2J" in out
    assert "\\u202e" in out


@pytest.mark.django_db
def test_the_json_of_any_terminal_is_json_with_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    job = failed_job()
    out, _err, _code = run(monkeypatch, "utf-8", "jobs", "show", str(job.pk), "--json")
    assert clean(out)
    assert json.loads(out)["error"] == WILD


@pytest.mark.django_db
@pytest.mark.parametrize("words", [["jobs", "--help"], ["jobs", "list", "--help"], ["events"], ["run_huey", "--help"]])
@pytest.mark.parametrize("columns", ["20", "0", "many"])
def test_any_width_will_do(monkeypatch: pytest.MonkeyPatch, columns: str, words: list[str]) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with translation.override("pt-br"):
        out, err, code = run(monkeypatch, "ascii", *words)
    assert (code, err) == (0, "")
    assert out


@pytest.mark.parametrize("name", [name for name, app in get_commands().items() if not app.startswith("django")])
def test_every_command_of_ours_is_one_that_fits_any_terminal(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    if type(command).__module__.split(".")[0] in ("jobs", "leads", "emails", "notifications", "accounts"):
        assert isinstance(command, TranslatedCommand)


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite
def test_a_reader_who_leaves_ends_it_quietly_and_as_other_programs_end() -> None:
    failed_job()
    reading, writing = os.pipe()
    program = subprocess.Popen(
        [sys.executable, "manage.py", "jobs", "list", "--json"],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
            "TEST_DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        },
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    assert program.communicate(timeout=60) == (None, b"")
    assert program.returncode == -signal.SIGPIPE


def test_a_log_line_stays_one_line_and_steers_nothing() -> None:
    formatter = LineFormatter("{levelname} {name}: {message}", style="{")
    record = logging.LogRecord("jobs", logging.ERROR, __file__, 1, "job_failed error=%s", (WILD,), None)
    line = formatter.format(record)
    assert "\n" not in line
    assert clean(line)
    try:
        raise ValueError(WILD)
    except ValueError:
        record = logging.LogRecord("jobs", logging.ERROR, __file__, 1, "broke", (), sys.exc_info())
    assert clean(formatter.format(record))


def test_the_sites_own_logs_are_written_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from config.settings import site; print(site.LOGGING['formatters']['line']['()'])"],
        env={**os.environ, "DEBUG": "true", "ENV_FILE": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == f"{LineFormatter.__module__}.{LineFormatter.__qualname__}"


def test_what_steers_is_written_out_and_everything_else_stays() -> None:
    for code in range(0x110000):
        one = chr(code)
        if one.isprintable() and not "\ud800" <= one <= "\udfff":
            assert visible(one) == one
    assert visible("a\x1b\n\x9b\u202e\ud800é😀") == "a\\x1b\\n\\x9b\\u202e\\ud800é😀"
    assert visible("a\n\tb", keep="\n\t") == "a\n\tb"
    assert json.loads(visible_json(json.dumps(WILD, ensure_ascii=False))) == WILD
