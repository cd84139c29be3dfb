"""What the engine stores in English is shown in the reader's language."""

import re
from pathlib import Path

import pytest
from django.utils import translation

from jobs import RetryLater, reasons

VALUES = {"holder": "01a20c33", "error": "ValueError: no", "task": "app.task", "seconds": "901", "count": "5"} | {
    "job": "01a20c34"
}


@pytest.mark.parametrize("template", reasons.ALL)
def test_each_stored_reason_is_translated_with_its_values(template):
    stored = template % VALUES
    with translation.override("en"):
        assert reasons.translated(stored) == stored
    with translation.override("pt-br"):
        shown = reasons.translated(stored)
    assert shown != stored
    for name in re.findall(r"%\((\w+)\)s", template):
        assert VALUES[name] in shown


def test_what_a_task_said_stays_as_it_is():
    with translation.override("pt-br"):
        assert reasons.translated("ValueError: duplicate of nothing") == "ValueError: duplicate of nothing"
        assert reasons.translated("") == ""


def test_a_reason_within_a_reason_is_translated_too():
    inner = reasons.UNKNOWN_TASK % {"task": "app.task"}
    stored = reasons.NOT_UNDERSTOOD % {"seconds": "901", "error": inner}
    with translation.override("pt-br"):
        assert inner not in reasons.translated(stored)


def test_a_hostile_text_is_answered_at_once():
    text = "no worker understood the job for " * 5_000
    assert reasons.translated(text) == text


def test_retry_later_says_the_same_words():
    assert str(RetryLater(2.5)) == reasons.LATER % {"seconds": 2.5}


def test_sql_writes_the_same_words():
    words = reasons.KILLED_WORKER.replace("%(count)s", "' || (lost + 1) || '")
    for path in Path("jobs/broker/database").glob("*/release_lost.sql"):
        assert words in path.read_text()
