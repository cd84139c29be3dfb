-- A live job.
SELECT id, run, queue, task, state, message, priority, ready_at, attempts, starts, lost, key, expires_at, cancel_requested,
    scope, "group", tags
FROM jobs_job
WHERE id = :id AND queue = :queue AND state IN ('queued', 'active')
