"""The queues and their policies, on one page."""

from jobs import Exponential, Fixed, Queue, RateLimit

email = Queue(
    "email",
    attempts=3,
    backoff=Exponential(2),
    concurrency=5,
    rate_limit=RateLimit(10, per=1),
    keep_completed=100,
    keep_failed=500,
)
notification = Queue(
    "notification",
    attempts=2,
    backoff=Fixed(5),
    concurrency=10,
    keep_completed=1_000,
    keep_failed=1_000,
)
lead = Queue(
    "lead",
    attempts=3,
    backoff=Exponential(2),
    concurrency=3,
    keep_completed=1_000,
    keep_failed=1_000,
)
