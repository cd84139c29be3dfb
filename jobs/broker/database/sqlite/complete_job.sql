-- active -> completed.
UPDATE jobs_job
SET state = 'completed', attempts = attempts + 1, starts = starts + :started,
    started_at = coalesce(:started_at, started_at), ended_at = :ended_at, worker_id = NULL,
    result = :result, error = '', reason = '', unknown_since = NULL
WHERE id = :id AND token = :token AND worker_id = :worker AND state = 'active'
