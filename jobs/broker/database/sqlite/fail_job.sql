-- active -> failed: the job is a dead letter.
UPDATE jobs_job
SET state = 'failed', attempts = attempts + :attempted, starts = starts + :started,
    started_at = coalesce(:started_at, started_at), ended_at = :ended_at, worker_id = NULL,
    error = :error, reason = '', cause = :cause, release = :release
WHERE id = :id AND token = :token AND worker_id = :worker AND state = 'active'
