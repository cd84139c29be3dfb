"""What a caller of the engine does: a business row and its job in one transaction, or a job alone."""

from typing import Any

from django.db import Error, connection, transaction

from jobs.broker import get_broker
from jobs.errors import JobsError

from .models import Sale
from .tasks import count, nap


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
