-- active -> queued: the jobs of a process that was stopped on purpose; cancelled, if that was asked.
UPDATE jobs_job INDEXED BY jobs_active_worker
SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END,
    ended_at = CASE WHEN cancel_requested THEN :now END,
    starts = starts + 1, worker_id = NULL
WHERE state = 'active' AND worker_id = :worker
RETURNING id, run, queue, state, claimed_at, task
