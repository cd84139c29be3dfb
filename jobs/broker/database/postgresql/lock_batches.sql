-- Locks these batches: of two that end the last jobs, one ends a batch.
SELECT id
FROM jobs_batch
WHERE id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
ORDER BY id
FOR UPDATE
