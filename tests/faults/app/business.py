"""What a caller of the engine does: a business row and its job in one transaction, or a job alone."""

import contextlib
import random
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any
from uuid import uuid4

from django.db import Error, connection, transaction

from jobs import Batch, chain
from jobs.broker import get_broker
from jobs.errors import JobsError
from jobs.history import batches

from .models import Sale
from .tasks import blink, count, grow, nap, step, touch


def sell(**options: Any) -> str:
    """Write a sale and its job in one transaction; returns the job's id."""
    with transaction.atomic():
        job = nap.using(**options).enqueue()
        Sale.objects.create(job=job.id)
    return job.id.hex


def count_in_transaction() -> str:
    """An atomic task that is enqueued in a transaction; returns the job's id."""
    with transaction.atomic():
        return count.enqueue().id.hex


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What the function returns, or the error of the store in a line."""
    try:
        return {"value": function(*args, **kwargs)}
    except (JobsError, Error) as error:
        connection.close()
        return {"error": f"{type(error).__name__}: {error}"}


def clock_of_the_broker() -> float:
    """Its time, in seconds since 1970."""
    return get_broker().now().timestamp()


def enqueue_flows(chains: int, fans: int, width: int = 5) -> list[list[Any]]:
    """Chains of four over three queues, and jobs that come together in one; returns for each job those it waits for."""
    edges: list[list[Any]] = []
    for _number in range(chains):
        links = chain(nap.bind(0.2), blink.bind(), step.bind(0.1), nap.bind(0.1)).enqueue()
        edges += [[link, links[at - 1 : at] if at else []] for at, link in enumerate(links)]
    for _number in range(fans):
        with transaction.atomic():
            root = nap.enqueue(0.01)
            middle = [(step, blink, nap)[at % 3].using(after=[root]).enqueue() for at in range(width)]
            edges += [[root, []], *([one, [root]] for one in middle), [nap.using(after=middle).enqueue(), middle]]
    return edges


def enqueue_sequences(number: int, length: int) -> list[list[Any]]:
    """Sequences, half of their jobs in transactions; returns for each job the one before it."""
    edges: list[list[Any]] = []
    for _number in range(number):
        name, before = str(uuid4()), None
        for at in range(length):
            with transaction.atomic() if at % 2 else nullcontext():
                job = nap.using(sequence=name).enqueue(0.02)
            edges.append([job, [before] if before else []])
            before = job
    return edges


def enqueue_batches(number: int, rows: int) -> list[str]:
    """Batches over three queues, of which each sixth job adds two more, and what follows them; returns their ids."""
    made = []
    for _number in range(number):
        with Batch(on_complete=step.bind(), on_success=nap.bind(), on_failure=nap.bind()) as batch:
            kinds = (grow.bind(2), nap.bind(0.1), blink.bind(), step.bind(), nap.bind(), step.bind(0.1))
            batch.add_many(replace(kinds[at % 6]) for at in range(rows))
        made.append(str(batch.id))
    return made


#: The modes of a key, and what `using` is told for each.
MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "throttle": {"throttle": 0.3},
    "debounce": {"debounce": 0.1},
    "replace": {"replace": True},
    "rerun": {"rerun": True},
}


def storm(number: int, calls: int) -> list[list[Any]]:
    """Calls of a few keys, in transactions and outside; of each that was accepted mode, key, job, created and since."""
    chance, told = random.Random(number), []
    for _call in range(calls):
        mode = chance.choice(list(MODES))
        key, way = f"{mode}-{chance.randrange(2)}", chance.randrange(5)
        begin = time.time()
        call = touch.using(key=key, **MODES[mode])
        if way == 0:
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                call.enqueue(key)
                raise ZeroDivisionError
            continue
        with transaction.atomic() if way < 3 else contextlib.nullcontext():
            handle = call.enqueue(key)
        told.append([mode, key, handle, handle.created, begin])
    return told


def batches_as_they_are(ids: list[str]) -> list[dict[str, Any]]:
    """Of each batch its counts, its jobs and those that follow it."""
    found = []
    for batch in map(Batch.get, ids):
        found.append(
            {
                "ended": batch.ended_at is not None,
                "counts": asdict(batch.counts),
                "jobs": [one.id.hex for one in batch.handles()],
                "follow": {role: job.hex for role, job in batches.followers(batch.id).items()},
            }
        )
    return found
