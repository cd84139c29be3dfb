-- The jobs that wait for one of these, locked in the order of their ids: of two that decide, one sees all the other did.
-- `|| ''`: the ids are the way in, however few rows of this state the planner takes for granted.
SELECT id
FROM jobs_job
WHERE id = ANY(ARRAY(
    SELECT waiting_id FROM jobs_edge
    WHERE state || '' = '' AND awaited_id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
))
ORDER BY id
FOR UPDATE
