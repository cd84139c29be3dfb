-- What holds for the whole queue, and what was set of its limits; one that another broker keeps stands still here.
SELECT paused OR elsewhere, wait_until, taken, rate_limit, rate_per, concurrency, global_concurrency
FROM jobs_queuestate
WHERE queue = :queue
