-- The jobs that a process holds.
SELECT id
FROM jobs_job INDEXED BY jobs_active_worker
WHERE state = 'active' AND worker_id = :worker
