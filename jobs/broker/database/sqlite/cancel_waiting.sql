-- blocked, pending, queued -> cancelled.
UPDATE jobs_job
SET state = 'cancelled', ended_at = :now, reason = :reason
WHERE id = :id AND queue = :queue AND state IN ('blocked', 'pending', 'queued')
RETURNING queue, task
