-- The queues that were told to wait at a moment that is yet to come.
SELECT queue, wait_from, wait_until
FROM jobs_queuestate
WHERE wait_from > clock_timestamp() + interval '1 second' AND wait_until IS NOT NULL
ORDER BY queue
FOR UPDATE SKIP LOCKED
