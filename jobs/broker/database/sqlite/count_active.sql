-- The active jobs of a queue, over all workers.
SELECT count(*)
FROM jobs_job INDEXED BY jobs_active_queue
WHERE queue = :queue AND state = 'active'
