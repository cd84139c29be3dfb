-- active -> cancelled: the job agreed. What it says wins over what the asker said.
UPDATE jobs_job
SET state = 'cancelled', starts = starts + :started,
    started_at = coalesce(:started_at, started_at), ended_at = :ended_at, worker_id = NULL,
    reason = CASE WHEN :reason = '' THEN reason ELSE :reason END
WHERE id = :id AND token = :token AND worker_id = :worker AND state = 'active'
