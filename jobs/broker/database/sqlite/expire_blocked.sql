-- blocked -> expired: jobs whose time has passed, at most 1,000.
UPDATE jobs_job
SET state = 'expired', ended_at = :now
WHERE state = 'blocked' AND id IN (
    SELECT id FROM jobs_job INDEXED BY jobs_blocked_expiring
    WHERE state = 'blocked' AND expires_at IS NOT NULL AND expires_at <= :now
    LIMIT 1000
)
RETURNING queue, task
