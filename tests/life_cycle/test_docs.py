"""The example in docs/change-jobs.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.history import live
from jobs.models import Job

PAGE = Path(__file__).resolve().parents[2] / "docs" / "change-jobs.md"


def test_the_example_of_a_corrected_letter_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    code, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    known: dict[str, object] = {"__name__": "letters_of_the_docs"}
    exec(code, known)
    letters = known["letters"]
    monkeypatch.setattr("jobs.defined.queues", lambda: {"letters": letters})
    assert known["correct"](7) == "changed"  # type: ignore[operator]
    live.hear()
    job = Job.objects.get()
    assert (job.args, job.priority, job.shown_state()) == ([7, "Dear customer"], 1, "scheduled")
