-- active -> queued: the attempt failed and the job is due again; or cancelled, if that was asked meanwhile.
UPDATE jobs_job
SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END,
    attempts = attempts + 1, starts = starts + :started,
    started_at = coalesce(:started_at, started_at),
    ended_at = CASE WHEN cancel_requested THEN :ended_at END,
    ready_at = CASE WHEN cancel_requested THEN ready_at ELSE :ready_at END, timed_at = :now,
    reason = CASE WHEN cancel_requested THEN reason ELSE '' END,
    worker_id = NULL, error = :error, unknown_since = NULL
WHERE id = :id AND token = :token AND worker_id = :worker AND state = 'active'
RETURNING state
