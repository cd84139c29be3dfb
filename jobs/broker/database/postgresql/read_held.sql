-- The jobs that a process holds.
SELECT id
FROM jobs_job
WHERE state = 'active' AND worker_id = %(worker)s
