"""What goes into a message or a result comes out equal, with its types, or is refused at the door with a sentence."""

from __future__ import annotations

import enum
import inspect
import pathlib
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest
from django.contrib.auth import get_user_model
from django.utils.functional import SimpleLazyObject, lazy
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs import Queue
from jobs.define.message import MAX_ARGUMENTS, MessageError, Signature
from jobs.define.results import MAX_RESULT, decode_result, encode_result
from jobs.errors import InvalidArguments


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Kind(enum.StrEnum):
    INFO = "info"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Odd(enum.Enum):
    PAIR = (1, 2)


class Point(NamedTuple):
    x: int
    y: uuid.UUID


Loose = namedtuple("Loose", "a b")


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "BRL"


@dataclass(slots=True)
class Order:
    id: uuid.UUID
    total: Money
    lines: list[Money] = field(default_factory=list)
    note: str | None = None
    placed: datetime | None = None


@dataclass
class Base:
    a: int


@dataclass
class Special(Base):
    b: int = 0


@dataclass
class Counted:
    a: int
    seen: int = field(default=0, init=False, compare=False)


@dataclass
class Growing:
    a: int

    def __post_init__(self) -> None:
        self.a += 1


@dataclass
class Picky:
    a: int

    def __post_init__(self) -> None:
        if self.a < 0:
            raise KeyError("negative")


@dataclass
class Ring:
    next: Ring | None = None


class Record(msgspec.Struct):
    id: uuid.UUID
    tags: list[str] = []


class Address(TypedDict, total=False):
    street: str
    known_since: date


T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    content: T


LeadId = NewType("LeadId", uuid.UUID)


def signature_of(annotation: Any) -> Signature:
    def task(value): ...  # type: ignore[no-untyped-def]

    task.__annotations__["value"] = annotation
    return Signature(task, "test.task")


def through(annotation: Any, value: Any) -> Any:
    """What the task gets for it."""
    signature = signature_of(annotation)
    (args, kwargs) = signature.decode(signature.encode((value,), {}))
    assert not kwargs
    return args[0]


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return (
            len(one) == len(other)
            and all(same(key, found) for key, found in zip(one, other, strict=True))
            and all(same(one[key], other[key]) for key in one)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if is_dataclass(one):
        return all(same(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))
    if isinstance(one, float):
        return one.hex() == other.hex()
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, datetime) and one.tzinfo is not None:
        return not one - other
    return bool(one == other)


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
WHOLE = st.integers(-(2**63), 2**64 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
DECIMAL = st.decimals(allow_nan=False)
UUIDS = st.uuids()
MOMENT = st.datetimes() | st.datetimes(timezones=st.timezones()) | st.datetimes(timezones=st.just(UTC))
MONEY = st.builds(Money, DECIMAL, TEXT)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ANNOTATED = [
    (str, TEXT),
    (int, WHOLE),
    (bool, st.booleans()),
    (float, NUMBER),
    (None, st.none()),
    (uuid.UUID, UUIDS),
    (datetime, MOMENT.filter(lambda moment: moment.tzinfo is not None or not moment.fold)),
    (date, st.dates()),
    (time, st.times(timezones=st.none() | st.just(UTC)).filter(lambda moment: not moment.fold)),
    (timedelta, st.timedeltas()),
    (Decimal, DECIMAL),
    (bytes, st.binary(max_size=9)),
    (bytearray, st.binary(max_size=9).map(bytearray)),
    (uuid.UUID | None, st.none() | UUIDS),
    (int | str | None, st.none() | WHOLE | TEXT),
    (int | float, WHOLE | NUMBER.filter(lambda number: not number.is_integer())),
    (bool | int, st.booleans() | WHOLE),
    (list[uuid.UUID], st.lists(UUIDS, max_size=3)),
    (list[Any], st.lists(JSON, max_size=3)),
    (tuple[int, ...], st.lists(WHOLE, max_size=3).map(tuple)),
    (tuple[int, str], st.tuples(WHOLE, TEXT)),
    (tuple, st.lists(JSON, max_size=3).map(tuple)),
    (set[int], st.sets(WHOLE, max_size=3)),
    (frozenset[uuid.UUID], st.frozensets(UUIDS, max_size=3)),
    (dict[str, int], st.dictionaries(TEXT, WHOLE, max_size=3)),
    (dict[int, str], st.dictionaries(WHOLE, TEXT, max_size=3)),
    (dict[uuid.UUID, Decimal], st.dictionaries(UUIDS, DECIMAL, max_size=3)),
    (dict[date, list[int]], st.dictionaries(st.dates(), st.lists(WHOLE, max_size=2), max_size=3)),
    (dict[Colour, int], st.dictionaries(st.sampled_from(Colour), WHOLE)),
    (dict[str, Any], st.dictionaries(TEXT, JSON, max_size=3)),
    (dict, st.dictionaries(TEXT, JSON, max_size=3)),
    (Mapping[str, int], st.dictionaries(TEXT, WHOLE, max_size=3)),
    (Sequence[int], st.lists(WHOLE, max_size=3)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Kind, st.sampled_from(Kind)),
    (Rights, st.sampled_from([Rights.READ, Rights.READ | Rights.WRITE])),
    (Point, st.builds(Point, WHOLE, UUIDS)),
    (Loose, st.builds(Loose, JSON, JSON)),
    (Money, MONEY),
    (Order, st.builds(Order, UUIDS, MONEY, st.lists(MONEY, max_size=2), st.none() | TEXT)),
    (Special, st.builds(Special, WHOLE, WHOLE)),
    (Box[int], st.builds(Box, WHOLE)),
    (Record, st.builds(Record, UUIDS, st.lists(TEXT, max_size=2))),
    (Address, st.fixed_dictionaries({}, optional={"known_since": st.dates(), "street": TEXT})),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (LeadId, UUIDS),
    (Annotated[int, msgspec.Meta(ge=5)], st.integers(5, 99)),
    (Annotated[str, "of the lead"], TEXT),
    (Any, JSON),
    (inspect.Parameter.empty, JSON),
    (object, JSON),
]


@pytest.mark.parametrize(("annotation", "values"), ANNOTATED, ids=[str(each[0])[-40:] for each in ANNOTATED])
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_a_value_that_its_annotation_promises_comes_out_equal_and_of_its_type(
    annotation: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    assert same(value, through(annotation, value))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=4)
    | UUIDS
    | MOMENT
    | st.dates()
    | st.times(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.decimals()
    | st.complex_numbers()
    | MONEY
    | st.sampled_from([*Colour, *Level, *Kind, *Rights, Odd.PAIR, range(3), pathlib.Path("a"), object(), int, len]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(deque)
        | st.dictionaries(st.text(max_size=3) | st.integers() | UUIDS | st.booleans() | st.none(), inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(OrderedDict)
        | st.dictionaries(st.text(max_size=3), st.integers(0, 3), max_size=3).map(Counter)
        | st.builds(Loose, inner, inner)
        | st.builds(Box, inner)
    ),
    max_leaves=6,
)
WIDE = [Any, list, list[Any], dict, dict[str, Any], dict[int, Any], tuple, set, str, int, float, bytes, datetime]
WIDE += [uuid.UUID | None, int | str, Box[Any], Loose, Mapping[str, Any], Colour, Decimal, time, object]
#: Texts and numbers that an annotation may take for something else, as the command line has to write them.
SPELLINGS = (str, int, float, list, dict)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime) and one.tzinfo and other.tzinfo:
        return not one - other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return one == other or (len(one) == len(other) and all(map(equal, one, other)))
    if isinstance(one, dict) and isinstance(other, dict):
        return one == other or (
            len(one) == len(other)
            and all(equal(a, b) and equal(one[a], other[b]) for a, b in zip(one, other, strict=True))
        )
    if isinstance(one, Box) and isinstance(other, Box):
        return equal(one.content, other.content)
    return bool(one == other) or (type(one) in SPELLINGS and type(other) not in SPELLINGS)


@pytest.mark.parametrize("annotation", WIDE, ids=str)
@settings(max_examples=40, deadline=None)
@given(ANYTHING)
def test_anything_at_all_comes_out_equal_or_is_refused_by_the_name_of_its_argument(annotation: Any, value: Any) -> None:
    try:
        again = through(annotation, value)
    except InvalidArguments as refusal:
        assert "argument value" in str(refusal)  # noqa: PT017 - either it is refused, or it is equal
        return
    assert equal(value, again)


@settings(max_examples=150, deadline=None)
@example(uuid.UUID(int=7))
@given(ANYTHING)
def test_a_result_comes_out_equal_or_is_refused_with_the_tasks_name(value: Any) -> None:
    try:
        text = encode_result("test.task", value)
    except InvalidArguments as refusal:
        assert str(refusal).startswith("test.task returned")  # noqa: PT017 - as above
        return
    assert equal(value, decode_result(text))


class Hostile:
    """A value whose every method fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError


class HostileText(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = str.__hash__

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class HostileList(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise RuntimeError

    __len__ = __repr__ = __iter__


class Timestamp(datetime):
    """As other libraries make of it."""


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        (Any, (1, 2), "a tuple comes out as a list; annotate the parameter"),
        (Any, [(1, 2)], r"value\[0\]: a tuple comes out as a list"),
        (Any, {1: "a"}, "as a key, a int comes out as a str"),
        (Any, Colour.RED, r"annotate the parameter \(value: Colour\)"),
        (Any, Money(Decimal(1)), r"annotate the parameter \(value: Money\)"),
        (list[int], (1,), "a tuple comes out as a list"),
        (dict[str, int], {1: 1}, "as a key"),
        (str, uuid.uuid4(), "a UUID comes out as a str"),
        (str, b"abc", "a bytes comes out as a str"),
        (bytes, "abcd", "a str comes out as a bytes"),
        (Base, Special(1, 2), "a Special comes out as a Base"),
        (Money, {"amount": "1", "typo": 1}, "not all keys"),
        (Address, {"typo": 1}, "not all keys"),
        (Growing, Growing(1), r"value\.a: this int does not come out equal"),
        (Picky, {"a": -1}, "negative"),
        (set[int], [1, 1], "a list comes out as a set"),
        (list, {1}, "a set comes out as a list"),
        (float, 2**53 + 1, "this number does not come out equal"),
        (int, 2**64, "over 64 bits"),
        (float, float("nan"), "JSON has no number nan"),
        (Decimal, Decimal("sNaN"), "no number"),
        (Any, "\ud800", "half of a surrogate pair"),
        (str, "\udc80", "half of a surrogate pair"),
        (list[str], ["\udc80"], "half of a surrogate pair"),
        (datetime, datetime(2026, 1, 1, fold=1), "fold=1"),  # noqa: DTZ001
        (time, time(1, tzinfo=ZoneInfo("America/Sao_Paulo")), "does not come out equal"),
        (date, datetime(2026, 1, 1, tzinfo=UTC), "date"),
        (Odd, Odd.PAIR, "Enums must contain"),
        (uuid.UUID | str, "x", "more than one str-like"),
        (pathlib.Path, pathlib.Path("a"), "is no JSON"),
        (Annotated[int, msgspec.Meta(ge=5)], 1, ">= 5"),
        (Any, Hostile(), "Hostile"),
        (Any, get_user_model(), "is no JSON"),
        (Any, {"a": [get_user_model()(pk=1)]}, "pass user.id"),
        (Any, SimpleLazyObject(lambda: get_user_model()(pk=1)), "pass user.id"),
        (Any, lazy(lambda: 5, int)(), "a lazy value comes out as a str"),
        (Any, Money, "is no JSON"),
        (Any, defaultdict(list, {"a": {1}}), "a set comes out as a list"),
        (Any, {"1": 1, Kind.INFO: 2, "info": 3, 1: 4}, "two keys"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_would_come_out_different_is_refused_with_the_reason(annotation: Any, value: Any, told: str) -> None:
    with pytest.raises(InvalidArguments, match=told):
        through(annotation, value)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Any, mark_safe("<b>"), "<b>"),
        (Any, [gettext_lazy("New lead")], ["New lead"]),
        (Any, HostileText("a"), "a"),
        (Any, HostileList([1]), [1]),
        (Any, OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (dict[str, int], Counter("aab"), {"a": 2, "b": 1}),
        (int, Level.LOW, 1),
        (str, Kind.INFO, "info"),
        (tuple[int, ...], Loose(1, 2), (1, 2)),
        (uuid.UUID, str(uuid.UUID(int=7)).upper(), uuid.UUID(int=7)),
        (dict[uuid.UUID, int], {str(uuid.UUID(int=7)): 1}, {uuid.UUID(int=7): 1}),
        (dict[int, str], {"5": "a"}, {5: "a"}),
        (tuple[int, ...], [1, 2], (1, 2)),
        (set[int], [1, 2], {1, 2}),
        (Order, {"id": str(uuid.UUID(int=7)), "total": {"amount": "1.0"}}, Order(uuid.UUID(int=7), Money(Decimal(1)))),
        (float, 1, 1.0),
        (Decimal, 1.5, Decimal("1.5")),
        (Colour, "red", Colour.RED),
        (datetime, Timestamp(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        (datetime, datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=-11_188))), None),
        (datetime, datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=ZoneInfo("America/New_York")), None),
        (memoryview, memoryview(b"abc"), memoryview(b"abc")),
        (Ring, Ring(Ring()), Ring(Ring())),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_stands_for_the_annotated_type_is_taken_for_it(annotation: Any, value: Any, expected: Any) -> None:
    again = through(annotation, value)
    assert equal(value if expected is None else expected, again)
    assert expected is None or type(again) is type(expected)


def test_a_fields_value_that_is_not_in_the_constructor_comes_out_too() -> None:
    given = Counted(1)
    given.seen = 9
    assert through(Counted, given).seen == 9


def cycle() -> list[Any]:
    """A list in itself, often."""
    ring: list[Any] = []
    ring.extend([ring] * 10)
    return ring


def bomb() -> list[Any]:
    """Ten lists, a billion parts."""
    value: list[Any] = []
    for _ in range(9):
        value = [value] * 10
    return value


def poisoned_bomb() -> list[Any]:
    """The same, but what JSON cannot hold is found at once, and must be quoted."""
    value: list[Any] = [object()]
    for _ in range(9):
        value = [value] * 10
    return value


def endless_ring() -> Ring:
    ring = Ring()
    ring.next = ring
    return ring


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Any, cycle()),
        (list, cycle()),
        (Any, bomb()),
        (Ring, endless_ring()),
        (Any, [0] * 5_000_000),
        (set, set(range(99_999))),
        (Any, poisoned_bomb()),
    ],
    ids=["cycle", "cycle in a list", "bomb", "ring", "wide", "wide set", "poisoned bomb"],
)
def test_a_value_without_end_is_refused_at_once(annotation: Any, value: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"100 deep|over 65,536 bytes|a object is no JSON"):
        through(annotation, value)
    with pytest.raises(InvalidArguments):
        encode_result("test.task", value)


def test_the_limits_hold_exactly_in_bytes() -> None:
    signature = signature_of(str)
    rest = MAX_ARGUMENTS - len(signature.encode(("",), {}).encode())
    text = "ã" * (rest // 2) + "a" * (rest % 2)
    assert len(signature.encode((text,), {}).encode()) == MAX_ARGUMENTS
    with pytest.raises(InvalidArguments, match="65,537 bytes"):
        signature.encode((f"{text}a",), {})
    assert encode_result("test.task", "a" * (MAX_RESULT - 2))
    with pytest.raises(InvalidArguments, match="65,537 bytes"):
        encode_result("test.task", "a" * (MAX_RESULT - 1))


@given(
    st.lists(st.dates(), max_size=2), st.integers(), st.dictionaries(st.text(max_size=3), UUIDS, max_size=2), st.data()
)
@settings(max_examples=60, deadline=None)
def test_every_kind_of_parameter_gets_what_was_given(
    days: list[date], count: int, more: dict[str, uuid.UUID], data: st.DataObject
) -> None:
    got: list[Any] = []

    def task(first: Money, /, second: uuid.UUID | None = None, *days: date, count: int = 3, **more: uuid.UUID) -> None:
        got.append((first, second, days, count, more))

    signature = Signature(task, "test.task")
    first, second = data.draw(MONEY), data.draw(st.none() | UUIDS)
    args = (first, second, *days) if data.draw(st.booleans()) else (first,)
    kwargs = more | ({"count": count} if data.draw(st.booleans()) else {})
    try:
        text = signature.encode(args, kwargs)
    except InvalidArguments:
        return
    again_args, again_kwargs = signature.decode(text)
    task(*args, **kwargs)
    task(*again_args, **again_kwargs)
    assert got[0] == got[1]


def test_an_argument_of_a_parameters_own_name_among_the_named_ones_is_kept_apart() -> None:
    def task(a: int, /, **more: int) -> None: ...

    signature = Signature(task, "test.task")
    assert signature.decode(signature.encode((1,), {"a": 2})) == ((1,), {"a": 2})


def test_a_personal_value_its_parts_and_keys_are_not_quoted_in_any_refusal() -> None:
    signature = signature_of(dict[str, int])
    signature.personal = frozenset({"value"})
    for value in ("secret", {"secret": "secret"}, {b"secret": 1}, {"secret": {"secret"}}, {"secret\udc80": 1}):
        with pytest.raises(InvalidArguments) as refused:
            signature.encode((value,), {})
        assert "secret" not in str(refused.value)


def test_what_personal_args_and_kwargs_hold_is_not_quoted_either() -> None:
    def task(*lines: str, **others: str) -> None: ...

    signature = Signature(task, "test.task")
    signature.personal = frozenset({"lines", "others"})
    for args, kwargs in ((("secret\udc80",), {}), ((), {"note": "secret\udc80"}), (({"secret"},), {})):
        with pytest.raises(InvalidArguments) as refused:
            signature.encode(args, kwargs)
        assert "secret" not in str(refused.value)


def test_what_a_dataclass_raises_when_it_is_made_is_an_error_of_the_message() -> None:
    stored = signature_of(Any).encode(({"a": -1},), {})
    with pytest.raises(MessageError, match="value: .*negative"):
        signature_of(Picky).decode(stored)


@pytest.mark.parametrize("stored", ['{"v":1,"args":"abc","kwargs":{}}', '{"v":1,"args":[1],"kwargs":{}}x', '{"v":"1"}'])
def test_a_message_that_only_looks_like_one_is_not_read(stored: str) -> None:
    with pytest.raises(MessageError):
        signature_of(Any).decode(stored)


def test_an_annotation_that_nothing_can_travel_as_is_told_with_the_parameter() -> None:
    with pytest.raises(InvalidArguments, match="annotation of value"):
        through(dict[tuple[int, ...] | list[int], int] | set[int] | list[int], {})


def test_a_call_in_this_process_refuses_what_a_job_would(queue: Queue) -> None:
    @queue.task()
    def pair(first: int, second: Any) -> Any:
        return {"pair": (first, second)}

    with pytest.raises(InvalidArguments, match="a set comes out as a list"):
        pair.call(1, {2})
    with pytest.raises(InvalidArguments, match=r"of which at \['pair'\] a tuple comes out as a list"):
        pair.call(1, 2)
