"""Arguments: checked at enqueue, JSON in between, with their types again in the task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.define.message import MAX_ARGUMENTS, MessageError, Signature
from jobs.define.results import encode_result
from jobs.errors import InvalidArguments
from jobs.models import Job


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str


def everything(
    key: UUID,
    at: datetime,
    day: date,
    price: Decimal,
    money: Money,
    tags: list[str],
    count: int = 1,
    note: str | None = None,
) -> None: ...


SIGNATURE = Signature(everything, "test.everything")
GIVEN: dict[str, Any] = {
    "key": uuid4(),
    "at": datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC),
    "day": date(2026, 11, 23),
    "price": Decimal("12.340"),
    "money": Money(Decimal("0.10"), "BRL"),
    "tags": ["a", "b"],
}


def test_types_beyond_json_come_back_as_they_went_in() -> None:
    args, kwargs = SIGNATURE.decode(SIGNATURE.encode((), GIVEN))
    bound = SIGNATURE.signature.bind(*args, **kwargs).arguments
    assert bound == GIVEN
    assert str(bound["price"]) == "12.340"


def test_the_message_is_plain_json() -> None:
    content = json.loads(SIGNATURE.encode((), GIVEN))
    assert content["v"] == 1
    assert str(GIVEN["key"]) in json.dumps(content)


def refuse(func: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(TypeError) as refused:
        Signature(func, "test.task").encode(args, kwargs)
    assert isinstance(refused.value, InvalidArguments)
    return str(refused.value)


def test_a_missing_argument_is_named() -> None:
    def task(lead_id: int) -> None: ...

    assert "lead_id" in refuse(task)


def test_an_unexpected_argument_is_named() -> None:
    def task(lead_id: int) -> None: ...

    assert "colour" in refuse(task, 1, colour="red")


def test_an_argument_of_the_wrong_type_is_named() -> None:
    def task(lead_id: int) -> None: ...

    assert "lead_id='seven'" in refuse(task, "seven")


def test_a_model_instance_is_refused_with_the_advice_to_pass_its_id() -> None:
    def task(user: Any) -> None: ...

    assert "pass user.id" in refuse(task, get_user_model()(pk=1)).lower()


def test_a_model_instance_inside_a_list_is_refused() -> None:
    def task(users: list) -> None: ...  # type: ignore[type-arg]

    assert "pass user.id" in refuse(task, [get_user_model()(pk=1)]).lower()


def test_a_uuid_without_an_annotation_is_refused_with_the_remedy() -> None:
    def task(key) -> None: ...  # type: ignore[no-untyped-def]

    assert "annotate the parameter (key: UUID)" in refuse(task, uuid4())


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", lambda: 1, float("nan"), float("inf"), 2**70, {1: "a"}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    def task(anything) -> None: ...  # type: ignore[no-untyped-def]

    assert "anything" in refuse(task, value)


def test_arguments_above_64_kib_are_refused_with_the_advice_to_pass_an_id() -> None:
    def task(text: str) -> None: ...

    assert "pass its id" in refuse(task, "ã" * (MAX_ARGUMENTS // 2))


def test_a_personal_argument_is_not_quoted_in_the_error() -> None:
    def task(message: int) -> None: ...

    signature = Signature(task, "test.task")
    signature.personal = frozenset({"message"})
    with pytest.raises(InvalidArguments) as refused:
        signature.encode(("secret text",), {})
    assert "secret text" not in str(refused.value)


def test_a_lazy_translation_travels_as_text() -> None:
    def task(title: str) -> None: ...

    signature = Signature(task, "test.task")
    assert signature.decode(signature.encode((gettext_lazy("New lead"),), {})) == (("New lead",), {})


def test_a_message_that_no_longer_fits_the_task_is_an_error_that_names_both() -> None:
    def before(lead_id: int, colour: str) -> None: ...

    def after(lead_id: int) -> None: ...

    stored = Signature(before, "test.task").encode((1, "red"), {})
    with pytest.raises(MessageError, match="do not fit test.task"):
        Signature(after, "test.task").decode(stored)


@pytest.mark.parametrize(
    "stored", ["", "{", "[]", "null", '{"v":1}', '{"v":99,"args":[],"kwargs":{}}', '{"v":1,"args":3,"kwargs":{}}']
)
def test_a_damaged_message_is_an_error_and_not_a_crash(stored: str) -> None:
    def task() -> None: ...

    with pytest.raises(MessageError):
        Signature(task, "test.task").decode(stored)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=40)
@given(st.lists(json_values, max_size=3), st.dictionaries(st.text(min_size=1), json_values, max_size=3))
def test_any_json_passes_through_args_and_kwargs_unchanged(args: list[Any], kwargs: dict[str, Any]) -> None:
    def task(*args: Any, **kwargs: Any) -> None: ...

    signature = Signature(task, "test.task")
    try:
        text = signature.encode(args, kwargs)
    except InvalidArguments:  # a lone surrogate is text that no JSON can carry
        return
    assert signature.decode(text) == (tuple(args), kwargs)


def test_a_result_above_64_kib_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="store it and return its id"):
        encode_result("test.task", "x" * 70_000)


def nested(depth: int) -> list[Any]:
    """Lists in each other."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def plain(value: Any) -> None: ...


def typed(value: list[Any]) -> None: ...


@pytest.mark.parametrize("func", [plain, typed])
@pytest.mark.parametrize("depth", [101, 900, 5_000])
def test_what_is_nested_too_deep_for_readers_of_json_is_refused(func: Any, depth: int) -> None:
    with pytest.raises(InvalidArguments, match="100 deep"):
        Signature(func, "test.task").encode((nested(depth),), {})
    with pytest.raises(InvalidArguments, match="100 deep"):
        encode_result("test.task", nested(depth))


def test_what_is_nested_as_deep_as_allowed_passes() -> None:
    signature = Signature(plain, "test.task")
    assert signature.decode(signature.encode((nested(100),), {}))[0] == (nested(100),)


def test_djangos_safe_text_travels_as_text() -> None:
    signature = Signature(plain, "test.task")
    text = signature.encode(({mark_safe("name"): mark_safe("<b>")},), {})
    assert signature.decode(text)[0] == ({"name": "<b>"},)
    assert encode_result("test.task", [mark_safe("<b>")]) == '["<b>"]'


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused_and_not_lost(number: float) -> None:
    with pytest.raises(InvalidArguments, match="JSON has no number"):
        Signature(plain, "test.task").encode(({"a": [number]},), {})
    with pytest.raises(InvalidArguments, match="JSON has no number"):
        encode_result("test.task", {"a": [number]})


def test_a_value_without_repr_is_refused_like_any_other() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(InvalidArguments, match="Mute without repr"):
        Signature(plain, "test.task").encode((Mute(),), {})
    with pytest.raises(InvalidArguments, match="Mute without repr"):
        encode_result("test.task", Mute())


@pytest.mark.parametrize(
    "text",
    [
        "rubbish",
        "null",
        "[1]",
        '{"v":1,"args":5,"kwargs":{}}',
        '{"v":1,"args":[],"kwargs":[1]}',
        "[" * 10_000,
        '{"v":0}',
    ],
)
def test_a_message_that_cannot_be_read_is_an_error_of_its_own_and_opens_all_the_same(text: str) -> None:
    with pytest.raises(MessageError):
        Signature(plain, "test.task").decode(text)
    job = Job(message=text)
    assert (job.args, job.kwargs) == ([], {})
