-- Puts waiting jobs that nobody holds locked into another lane; answers which.
-- `|| ''`: the ids are the way in, however few rows of this state the planner takes for granted.
WITH free AS MATERIALIZED (
    SELECT id FROM jobs_job
    WHERE state || '' = 'queued' AND id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE jobs_job
SET lane = %(lane)s
FROM free
WHERE jobs_job.id = free.id
RETURNING jobs_job.id
