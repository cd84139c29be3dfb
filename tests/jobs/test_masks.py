"""A personal value is recognised in whatever spelling it turns up, and masked wherever people look."""

from __future__ import annotations

import html
import io
import json
import logging
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus, urlencode
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs import PermanentError, Queue, clock, signals
from jobs.broker.records import Settlement
from jobs.define.masks import Mask, masked, secrets_of
from jobs.define.message import Signature
from jobs.models import Attempt, Job
from jobs.operate import retry
from jobs.operate.erase import erase_jobs

Work = Callable[..., list[Settlement]]
SECRETS = [
    "ana.souza+leads@example.com",
    "José Ângelo d'Ávila",
    'She said "no" & <left>',
    "first line\nsecond\tline",
    "C:\\new\\table",
    "a/b c%d",
    "+55 11 98765-4321",
    "Straße İzmir ﬁn",
    "мария@пример.рф",
    "😀 smile",
    "password\\u0041",
]


def numbered(text: str, form: str) -> str:
    return "".join(f"&#{ord(one):{form}};" if form == "d" else f"&#x{ord(one):{form}};" for one in text)


def in_pairs(data: bytes) -> Iterator[tuple[int, int]]:
    return zip(data[::2], data[1::2], strict=True)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "swapped": str.swapcase,
    "quote": lambda text: quote(text, safe=""),
    "quote in small letters": lambda text: quote(text, safe="").lower(),
    "plus": quote_plus,
    "form": lambda text: urlencode({"q": text}),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "html": html.escape,
    "html twice": lambda text: html.escape(html.escape(text)),
    "decimal": lambda text: numbered(text, "d"),
    "hexadecimal": lambda text: numbered(text, "X"),
    "named": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "json": json.dumps,
    "json in utf-8": lambda text: json.dumps(text, ensure_ascii=False),
    "json for a script": lambda text: json.dumps(text).replace("/", "\\/"),
    "json in json": lambda text: json.dumps(json.dumps({"a": text})),
    "every letter": lambda text: "".join(
        f"\\u{int.from_bytes(text.encode('utf-16-be')[i : i + 2]):04x}"
        for i in range(0, len(text.encode("utf-16-be")), 2)
    ),
    "repr": repr,
    "ascii": ascii,
    "repr of repr": lambda text: repr([repr(text)]),
    "bytes": lambda text: repr(text.encode()),
    "nfd": lambda text: unicodedata.normalize("NFD", text),
    "nfc": lambda text: unicodedata.normalize("NFC", text),
    "wrapped": lambda text: text.replace(" ", "\n    "),
    "repr in an address": lambda text: quote(repr(text)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_in_every_spelling(spelling: str) -> None:
    for secret in SECRETS:
        spelled = SPELLINGS[spelling](secret)
        shown = masked(f"could not reach <{spelled}> today", secrets_of([secret]))
        assert shown.startswith("could not reach <")
        assert shown.endswith("> today")
        assert "***" in shown
        for part in (secret, spelled.strip("\"'"), secret.upper()):
            assert part not in shown
        assert len(shown) <= len("could not reach <> today") + len("***") + 20  # quotes and field names stay


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=4, max_size=20), st.sampled_from(sorted(SPELLINGS)))
@example("0000", "as it is")
@settings(max_examples=150, deadline=None)
def test_any_text_of_four_characters_is_masked_in_every_spelling(secret: str, spelling: str) -> None:
    secrets = secrets_of([secret])
    spelled = SPELLINGS[spelling](secret)
    # what has no way back from another case is another text
    if secrets and (spelled.isascii() or spelled.casefold() == secret.casefold()):
        assert "***" in masked(f"({spelled})", secrets)


@dataclass(frozen=True)
class Person:
    name: str
    phone: int
    born: datetime


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (12345, "no 12345"),
        (Decimal("1234.50"), "no 1234.50"),
        (UUID(int=2**100 + 7), f"no {UUID(int=2**100 + 7).hex}"),
        (UUID(int=2**100 + 7), f"no {str(UUID(int=2**100 + 7)).upper()}"),
        ({"a": [{"b": ("deep one",)}]}, "no deep one"),
        ({"ana@example.com": 1}, "no ANA@example.com"),
        (Person("Ana Souza", 551199, datetime(2001, 2, 3, tzinfo=UTC)), "no ana souza"),
        (Person("Ana Souza", 551199, datetime(2001, 2, 3, tzinfo=UTC)), "no 551199"),
        (Person("Ana Souza", 551199, datetime(2001, 2, 3, tzinfo=UTC)), "no 2001-02-03T00:00:00+00:00"),
        (b"binary ones", "no b'binary ones'"),
    ],
)
def test_the_leaves_of_a_personal_value_are_masked(value: Any, said: str) -> None:
    assert masked(said, secrets_of([value])) in ("no ***", "no b'***'")


@pytest.mark.parametrize("value", ["abc", 123, True, None, "", "   ", {"name": "abc"}, [1, 2, 3]])
def test_what_is_shorter_than_four_characters_masks_nothing(value: Any) -> None:
    text = "abc 123 True None name: four    spaces"
    assert masked(text, secrets_of([value])) == text


def test_two_secrets_that_overlap_leave_no_rest() -> None:
    assert masked("xabcdefghi", secrets_of(["abcdef", "defghi", "abcd"])) == "x***"


def test_a_mask_costs_nothing_until_it_is_called_and_a_long_text_little() -> None:
    def task(text: str) -> None: ...

    signature = Signature(task, "test.task")
    signature.personal = frozenset({"text"})
    mask = Mask(signature, "not even read")
    assert mask
    assert mask._secrets is None
    secrets = secrets_of(["secret " * 500, *(f"value {i}" for i in range(200))])
    began = time.process_time()
    shown = masked(("x" * 997 + "%40é\n") * 250 + "secret " * 500, secrets)
    assert time.process_time() - began < 3
    assert shown.endswith("*** ")


# where people look

lane = Queue("mask_lane", attempts=1)
SECRET = 'Ana "Bê" <ana@example.com>'


@lane.task(name="masks.tell", personal=("message", "phone"))
def tell(message: str, phone: int = 987654, fail: str = "") -> Any:
    if fail:
        raise PermanentError({"repr": repr(message), "html": html.escape(message), "address": quote(message)}[fail])
    return {"sent": message.upper(), "to": phone, message: "key"}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("boss@example.com", "x"))
    return client


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def everything_people_see(staff: Client, job: Job) -> str:
    """The admin's pages and the command line's words about a job."""
    pages = [reverse("admin:jobs_job_change", args=[job.pk]), reverse("admin:jobs_job_changelist")]
    pages += [reverse("admin:jobs_attempt_changelist"), reverse("admin:app_list", args=["jobs"])]
    pages += [reverse("admin:jobs_attempt_change", args=[one.pk]) for one in Attempt.objects.filter(job=job)]
    told = [staff.get(page).content.decode() for page in pages]
    for words in (["show", str(job.pk)], ["show", str(job.pk), "--json"], ["list"], ["list", "--json"]):
        out = io.StringIO()
        call_command("jobs", *words, stdout=out)
        told.append(out.getvalue())
    return "\n".join(told)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fail", ["", "repr", "html", "address"])
def test_a_personal_argument_is_seen_nowhere(
    staff: Client, work: Work, logged: pytest.LogCaptureFixture, fail: str
) -> None:
    handle = tell.using(key=f"tell:{SECRET}").enqueue(SECRET, 987654, fail)
    work(lane)
    seen = (everything_people_see(staff, handle.job) + logged.text + str(handle.error)).lower()
    for part in ("ana@example.com", "ana%40example.com", "ana%20", "bê", "b\\xea", "b&#x", "987654", "example.com&gt;"):
        assert part not in seen
    assert "***" in seen
    assert handle.state == ("failed" if fail else "completed")


@pytest.mark.django_db(transaction=True)
def test_the_program_itself_gets_the_true_result_and_the_key_still_holds(work: Work) -> None:
    handle = tell.using(key=f"tell:{SECRET}").enqueue(SECRET)
    assert tell.using(key=f"tell:{SECRET}").enqueue(SECRET).id == handle.id
    work(lane)
    assert handle.result() == {"sent": SECRET.upper(), "to": 987654, SECRET: "key"}


@pytest.mark.django_db(transaction=True)
def test_a_refused_result_masks_what_it_quotes_before_it_cuts_it(work: Work) -> None:
    queue = Queue("mask_lane_two", attempts=1)

    @queue.task(personal=("text",))
    def back(text: str) -> Any:
        return ["x" * 45, (text,)]

    handle = back.enqueue("a secret that is longer than what is quoted")
    work(queue)
    assert "a secr" not in handle.error
    assert "comes out as a list" in handle.error


@pytest.mark.django_db(transaction=True)
def test_an_argument_that_the_task_has_changed_meanwhile_is_masked_all_the_same(work: Work) -> None:
    queue = Queue("mask_lane_three", attempts=1)

    @queue.task(personal=("names",))
    def forget(names: list[str]) -> None:
        first = names.pop()
        raise ValueError(f"no mail for {first}")

    handle = forget.enqueue(["Ana Souza"])
    work(queue)
    assert handle.error == "ValueError: no mail for ***"


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_shows_no_personal_argument_and_adds_no_line_to_the_log(
    work: Work, logged: pytest.LogCaptureFixture
) -> None:
    def receiver(**kwargs: Any) -> None:
        raise ValueError(f"{kwargs['result']}\njob_failed id=42")

    signals.job_completed.connect(receiver)
    try:
        tell.enqueue(SECRET)
        work(lane)
    finally:
        signals.job_completed.disconnect(receiver)
    (line,) = [line for line in logged.messages if line.startswith("signal_receiver_failed")]
    assert "\n" not in line
    assert "example.com" not in logged.text.lower()


@pytest.mark.django_db(transaction=True)
def test_a_refusal_that_tells_the_key_masks_it(work: Work) -> None:
    dead = tell.using(key=f"tell:{SECRET}").enqueue(SECRET, fail="repr")
    work(lane)
    tell.using(key=f"tell:{SECRET}", delay=60).enqueue(SECRET)
    with pytest.raises(Exception, match=r"tell:\*\*\*") as refused:
        retry.retry(dead.id)
    assert "ana@" not in str(refused.value)
    with pytest.raises(CommandError) as told:
        call_command("jobs", "retry", str(dead.id), stdout=io.StringIO())
    assert "ana@" not in str(told.value)


@pytest.mark.django_db
def test_an_erasure_also_takes_out_a_text_that_stands_escaped() -> None:
    now = clock.now()
    times = {"created_at": now, "ready_at": now, "ended_at": now, "queue": "mask_lane", "task": "gone"}
    spelled = [spell(SECRET) for spell in (str, repr, ascii, json.dumps, html.escape, quote, quote_plus)]
    jobs = [Job.objects.create(state="failed", message="{}", error=f"no {text}", **times) for text in spelled]
    carrying = Job.objects.create(state="failed", message=json.dumps({"v": 1, "args": [SECRET], "kwargs": {}}), **times)
    assert erase_jobs([], [SECRET]).mentions == len(jobs)
    for job in [*jobs, carrying]:
        job.refresh_from_db()
        assert not {"ana@example", "ana%40"} & {job.error[at : at + 11] for at in range(len(job.error))}
    assert carrying.message == '{"erased": true}'
    assert {job.error.strip('"') for job in jobs if "erased" in job.error} == {job.error.strip('"') for job in jobs}
