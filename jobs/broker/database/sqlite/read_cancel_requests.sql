-- The jobs that these processes run and should cancel.
SELECT id
FROM jobs_job INDEXED BY jobs_active_worker
WHERE state = 'active' AND worker_id IN (SELECT value FROM json_each(:ids)) AND cancel_requested
