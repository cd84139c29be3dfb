"""The example in docs/operations.md runs as it stands there."""

import re
from pathlib import Path

import pytest

from jobs.models import Job
from tests.dead.conftest import dead

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


@pytest.mark.django_db
def test_the_example_of_dead_letters_by_cause_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    known = {"__name__": "example_of_the_docs"}
    exec(code, known)
    dead(3, error="Away: the mail service")
    dead(101, cause="d" * 16, error="KeyError: 'x'")
    known["give_up_or_try_again"]("mail service")
    states = list(Job.objects.values_list("state", flat=True))
    assert (states.count("pending"), states.count("cancelled")) == (3, 101)
