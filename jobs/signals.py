"""What other apps may listen to. Sent in the worker, after the broker accepted the settle.

For logs and metrics: a kill can lose one, and what a receiver raises is logged and goes no further. What must follow a
job is enqueued inside it.
"""

from __future__ import annotations

from django.dispatch import Signal

#: sender: the Queue; job: ClaimedJob; result: the JSON text of what the task returned, or None; seconds: it ran
job_completed = Signal()
#: sender: the Queue; job: ClaimedJob; error: str
job_failed = Signal()
#: sender: the Queue; job: ClaimedJob; error: str; delay: seconds until it is due again
job_retrying = Signal()
#: sender: the Queue; error: the exception that a worker's own machinery met
worker_error = Signal()
