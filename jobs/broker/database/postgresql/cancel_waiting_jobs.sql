-- blocked, pending, queued -> cancelled: those of these jobs that still wait; one that a worker claims at this moment is left to it.
WITH chosen AS MATERIALIZED (
    SELECT id FROM jobs_job
    WHERE queue = %(queue)s AND id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)) AND state IN ('blocked', 'pending', 'queued')
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs_job
SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
FROM chosen
WHERE jobs_job.id = chosen.id
RETURNING jobs_job.id, task
