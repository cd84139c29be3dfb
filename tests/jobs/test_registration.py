"""What cannot work as a task is refused when it is registered."""

from __future__ import annotations

import pytest
from huey import crontab

from jobs import Queue
from jobs.define.message import RESERVED_PARAMETERS
from jobs.errors import InvalidPolicy, InvalidTask, NotSupported


@pytest.mark.parametrize("parameter", sorted(RESERVED_PARAMETERS))
def test_a_parameter_with_a_name_of_hueys_call_syntax_is_refused(queue: Queue, parameter: str) -> None:
    scope: dict[str, object] = {"__name__": __name__}
    exec(f"def taken({parameter}): ...", scope)
    with pytest.raises(InvalidTask, match=parameter):
        queue.task()(scope["taken"])  # type: ignore[arg-type]


def test_the_same_name_twice_is_refused(queue: Queue) -> None:
    @queue.task(name="mail.send")
    def first() -> None: ...

    with pytest.raises((InvalidTask, ValueError), match="mail.send"):

        @queue.task(name="mail.send")
        def second() -> None: ...


def test_an_alias_that_is_taken_is_refused(queue: Queue) -> None:
    @queue.task(name="mail.send")
    def first() -> None: ...

    with pytest.raises(InvalidTask, match="mail.send"):

        @queue.task(name="mail.post", aliases=["mail.send"])
        def second() -> None: ...


def test_a_task_is_found_by_its_earlier_name(queue: Queue) -> None:
    @queue.task(name="mail.post", aliases=["mail.send"])
    def post() -> None: ...

    assert queue.find_task("mail.send") is post


def test_the_decorator_without_parentheses_is_refused_with_the_right_spelling(queue: Queue) -> None:
    def plain() -> None: ...

    with pytest.raises(InvalidTask, match=r"@test_lane.task\(\)"):
        queue.task(plain)


@pytest.mark.parametrize("option", ["retries", "retry_delay", "retry_backoff"])
def test_hueys_retry_options_are_refused_with_the_remedy(queue: Queue, option: str) -> None:
    with pytest.raises(NotSupported, match="use "):
        queue.task(**{option: 1})


def test_a_task_may_have_a_priority_of_its_own_and_it_is_checked(queue: Queue) -> None:
    @queue.task(priority=2)
    def urgent() -> None: ...

    assert urgent.policy.priority == 2
    with pytest.raises(InvalidPolicy, match="priority=0"):
        queue.task(priority=0)(lambda: None)


def test_personal_must_name_a_parameter(queue: Queue) -> None:
    with pytest.raises(InvalidTask, match="mesage"):

        @queue.task(personal=("mesage",))
        def send(message: str) -> None: ...


def test_a_periodic_task_takes_no_arguments(queue: Queue) -> None:
    with pytest.raises(InvalidTask, match="without arguments"):

        @queue.periodic_task(crontab())
        def report(day: str) -> None: ...


def test_a_task_of_an_installed_app_is_named_after_the_app() -> None:
    from jobs.define.names import task_name

    def fake() -> None: ...

    fake.__module__ = "emails.tasks"
    assert task_name(fake) == "emails.fake"


def test_a_generator_is_refused(queue: Queue) -> None:
    def parts() -> object:
        yield 1

    with pytest.raises(InvalidTask, match="generator"):
        queue.task()(parts)


@pytest.mark.parametrize("option", ["aliases", "personal"])
def test_one_text_where_several_belong_is_refused(queue: Queue, option: str) -> None:
    with pytest.raises(InvalidTask, match=r"write \('one',\)"):

        @queue.task(**{option: "text"})
        def send(text: str) -> None: ...


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "x" * 201, 5])
def test_a_name_that_cannot_be_kept_is_refused(queue: Queue, name: object) -> None:
    with pytest.raises(InvalidTask, match="1 to 200 characters"):
        queue.task(name=name)(lambda: None)
    with pytest.raises(InvalidTask, match="1 to 200 characters"):
        queue.task(name="fine", aliases=(name,))(lambda: None)


def test_a_refused_registration_leaves_nothing_behind(queue: Queue) -> None:
    @queue.task(name="mail.send")
    def first() -> None: ...

    for options in ({"name": "mail.send"}, {"name": "mail.other", "aliases": ("mail.send",)}):
        with pytest.raises(InvalidTask, match="taken"):
            queue.task(**options)(lambda: None)
    queue.task(name="mail.other")(lambda: None)
    assert sorted(queue.tasks) == ["mail.other", "mail.send"]
