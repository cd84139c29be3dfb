-- blocked -> cancelled.
UPDATE jobs_job
SET state = 'cancelled', ended_at = :now, reason = :reason
WHERE id = :id AND state = 'blocked'
RETURNING queue, task
