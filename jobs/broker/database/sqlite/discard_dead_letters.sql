-- failed -> cancelled: those of these dead letters that still are, are given up.
UPDATE jobs_job
SET state = 'cancelled', ended_at = :now, reason = :reason
WHERE state = 'failed' AND id IN (SELECT value FROM json_each(:ids))
RETURNING queue, task
