-- queued -> expired: jobs of these queues whose time has passed, at most 1,000.
-- The first two terms of the subquery are those of the index jobs_expiring.
UPDATE jobs_job
SET state = 'expired', ended_at = :now
WHERE state = 'queued' AND id IN (
    SELECT id FROM jobs_job INDEXED BY jobs_expiring
    WHERE expires_at IS NOT NULL AND state IN ('pending', 'queued')
      AND expires_at <= :now AND state = 'queued' AND queue IN (SELECT value FROM json_each(:queues))
    LIMIT 1000
)
RETURNING queue, task
