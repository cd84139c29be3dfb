-- The jobs that these processes run and should cancel.
SELECT id
FROM jobs_job
WHERE state = 'active' AND cancel_requested
  AND worker_id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json))
