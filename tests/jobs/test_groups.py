"""The group of a call: named by one of its arguments, or by hand; and what a task may ask for its group."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs import InvalidOption, InvalidPolicy, InvalidTask, Queue, RateLimit, RetryLater
from jobs.models import GroupState, Job
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
ORGANIZATION = UUID(int=7)


def group_of(handle: object) -> tuple[str, str]:
    job = Job.objects.get(pk=handle.id)
    return job.group, job.lane


def test_an_argument_names_the_group_as_people_read_it(queue: Queue) -> None:
    @queue.task(name="test.sync", group="organization_id")
    def sync(lead: int, organization_id: UUID | None = None) -> None: ...

    assert group_of(sync.enqueue(1, ORGANIZATION)) == (str(ORGANIZATION), str(ORGANIZATION))
    assert group_of(sync.enqueue(1, organization_id=str(ORGANIZATION).upper())) == (str(ORGANIZATION),) * 2
    assert [group_of(one)[0] for one in sync.enqueue_many([(1, ORGANIZATION), (2, None)])] == [str(ORGANIZATION), ""]


def test_a_call_without_the_argument_or_with_none_has_no_group(queue: Queue) -> None:
    @queue.task(name="test.sync", group="organization_id")
    def sync(lead: int, organization_id: UUID | None = None) -> None: ...

    assert [group_of(sync.enqueue(*args)) for args in ((1,), (1, None))] == [("", "")] * 2


def test_a_group_given_by_hand_wins(queue: Queue) -> None:
    @queue.task(name="test.sync", group="organization_id")
    def sync(organization_id: int) -> None: ...

    assert group_of(sync.enqueue(42))[0] == "42"
    assert group_of(sync.using(group="org-7").enqueue(42)) == ("org-7", "org-7")


def test_a_long_value_becomes_a_hash(queue: Queue) -> None:
    @queue.task(name="test.sync", group="name")
    def sync(name: str) -> None: ...

    group, lane = group_of(sync.enqueue("x" * 101))
    assert (len(group), group[0], lane) == (65, "#", group)
    assert group == group_of(sync.enqueue("x" * 101))[0] != group_of(sync.enqueue("x" * 102))[0]


@pytest.mark.parametrize("group", ["nobody", "more", 7, ("lead",)])
def test_a_group_that_is_no_parameter_is_refused(queue: Queue, group: object) -> None:
    with pytest.raises(InvalidTask, match="test.sync: group=.*expected the name of one of"):

        @queue.task(name="test.sync", group=group)
        def sync(lead: int, *more: int) -> None: ...


def test_a_personal_argument_names_no_group(queue: Queue) -> None:
    with pytest.raises(InvalidTask, match="group='email' is personal"):

        @queue.task(name="test.mail", group="email", personal=("email",))
        def mail(email: str) -> None: ...


@pytest.mark.parametrize(
    "options", [{"group_concurrency": 0}, {"group_concurrency": True}, {"group_rate_limit": 5}], ids=str
)
def test_wrong_rules_of_groups_name_the_queue_and_the_value(options: dict[str, object]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(InvalidPolicy, match=rf"Queue\('wrong'\): {name}={value!r}"):
        Queue("wrong", **options)


def test_the_queue_knows_the_rules_of_its_groups() -> None:
    rules = Queue("ruled", group_concurrency=2, group_rate_limit=RateLimit(5, per=1)).policy.groups
    assert (rules.concurrency, rules.rate_limit) == (2, RateLimit(5, per=1))


def test_queue_and_group_cannot_both_be_told_to_wait() -> None:
    with pytest.raises(InvalidOption, match="the queue waits, or the group"):
        RetryLater(2, whole_queue=True, whole_group=True)


def test_a_task_lets_its_group_wait_and_the_others_go_on(queue: Queue) -> None:
    ran: list[str] = []

    @queue.task(name="test.sync", group="organization")
    def sync(organization: str | None) -> None:
        ran.append(str(organization))
        if organization in (None, "slow") and ran.count(str(organization)) == 1:
            raise RetryLater(3_600, whole_group=True)

    sync.enqueue_many(["slow", "slow", "quick", "quick", None, None])
    run_jobs(queue.name)
    assert sorted(ran) == ["None", "None", "quick", "quick", "slow"]
    assert list(GroupState.objects.values_list("name", flat=True)) == ["slow"]
    assert Job.objects.filter(state="queued").count() == 3
