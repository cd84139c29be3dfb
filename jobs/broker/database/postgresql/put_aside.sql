-- Puts waiting jobs that nobody holds locked into another lane; answers which.
UPDATE jobs_job
SET lane = %(lane)s
WHERE id IN (
    SELECT id FROM jobs_job
    WHERE id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)) AND state = 'queued'
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id
