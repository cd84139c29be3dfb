-- active -> queued without burning an attempt, due at :ready_at or (NULL) as before; or cancelled, if that was asked
-- meanwhile. `unknown_since` is the first hand-back of a job that nobody understood; a start clears it.
UPDATE jobs_job
SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END,
    starts = starts + :started,
    started_at = coalesce(:started_at, started_at),
    ended_at = CASE WHEN cancel_requested THEN :ended_at END,
    ready_at = CASE WHEN cancel_requested THEN ready_at ELSE coalesce(:ready_at, ready_at) END,
    timed_at = CASE WHEN :ready_at IS NULL THEN timed_at ELSE :now END,
    reason = CASE WHEN cancel_requested THEN reason ELSE :reason END,
    unknown_since = CASE
        WHEN :unknown THEN coalesce(unknown_since, :now)
        WHEN :started THEN NULL
        ELSE unknown_since
    END,
    worker_id = NULL
WHERE id = :id AND token = :token AND worker_id = :worker AND state = 'active'
RETURNING state
