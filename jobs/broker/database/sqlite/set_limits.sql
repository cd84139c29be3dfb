-- What was set of a queue's limits at run time.
INSERT INTO jobs_queuestate (queue, paused, rate_limit, rate_per, concurrency, global_concurrency)
VALUES (:queue, 0, :rate_limit, :rate_per, :concurrency, :global_concurrency)
ON CONFLICT (queue) DO UPDATE SET
    rate_limit = excluded.rate_limit, rate_per = excluded.rate_per,
    concurrency = excluded.concurrency, global_concurrency = excluded.global_concurrency
