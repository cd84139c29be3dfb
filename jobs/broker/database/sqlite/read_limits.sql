-- What was set of a queue's limits at run time.
SELECT rate_limit, rate_per, concurrency, global_concurrency
FROM jobs_queuestate
WHERE queue = :queue
