-- failed -> cancelled: a dead letter is given up.
UPDATE jobs_job
SET state = 'cancelled', ended_at = :now, reason = :reason
WHERE id = :id AND queue = :queue AND state = 'failed'
RETURNING queue, task
