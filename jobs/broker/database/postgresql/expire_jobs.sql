-- queued -> expired: jobs of these queues whose time has passed, at most 1,000.
UPDATE jobs_job
SET state = 'expired', ended_at = clock_timestamp()
WHERE state = 'queued' AND id IN (
    SELECT id FROM jobs_job
    WHERE expires_at IS NOT NULL AND state IN ('pending', 'queued')
      AND expires_at <= (SELECT clock_timestamp()) AND state = 'queued' AND queue IN (SELECT value FROM json_array_elements_text(%(queues)s::json))
    ORDER BY expires_at
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
)
RETURNING queue, task
