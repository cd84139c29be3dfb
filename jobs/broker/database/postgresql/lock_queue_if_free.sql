-- The limiter: one claim at a time from a queue with a pace or a global concurrency.
SELECT 1
FROM jobs_queuestate
WHERE queue = %(queue)s
FOR UPDATE SKIP LOCKED
