import os

from jobs import Fixed, Queue, RateLimit

work = Queue("work", attempts=2, backoff=Fixed(0.1), concurrency=10, keep_completed=100_000)
paced = Queue("paced", concurrency=5, rate_limit=RateLimit(int(os.environ.get("FAULTS_PACE", "10")), per=1))
other = Queue("other", concurrency=2, keep_completed=5)
