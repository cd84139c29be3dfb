-- The jobs that wait for one of these, locked in the order of their ids: of two that decide, one sees all the other did.
SELECT id
FROM jobs_job
WHERE id IN (
    SELECT waiting_id FROM jobs_edge
    WHERE state = '' AND awaited_id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json))
)
ORDER BY id
FOR UPDATE
