-- blocked -> expired: jobs whose time has passed, at most 1,000.
UPDATE jobs_job
SET state = 'expired', ended_at = clock_timestamp()
WHERE state = 'blocked' AND id IN (
    SELECT id FROM jobs_job
    WHERE state = 'blocked' AND expires_at IS NOT NULL AND expires_at <= (SELECT clock_timestamp())
    ORDER BY expires_at
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
)
RETURNING queue, task
