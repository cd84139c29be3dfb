-- blocked, pending, queued -> cancelled: those of these jobs that still wait.
UPDATE jobs_job
SET state = 'cancelled', ended_at = :now, reason = :reason
WHERE queue = :queue AND id IN (SELECT value FROM json_each(:ids)) AND state IN ('blocked', 'pending', 'queued')
RETURNING id, task
