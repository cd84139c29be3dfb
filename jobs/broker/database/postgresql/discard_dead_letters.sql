-- failed -> cancelled: those of these dead letters that still are, and that nobody holds locked, are given up.
UPDATE jobs_job
SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
WHERE id IN (
    SELECT id FROM jobs_job
    WHERE id = ANY(%(ids)s::uuid[]) AND CASE WHEN state = 'failed' THEN true ELSE false END
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING queue, task
