-- Workers of these queues that are unknown although active jobs name them.
SELECT DISTINCT worker_id
FROM jobs_job INDEXED BY jobs_active_worker
WHERE state = 'active' AND queue IN (SELECT value FROM json_each(:queues))
  AND NOT EXISTS (SELECT 1 FROM jobs_process WHERE jobs_process.id = jobs_job.worker_id)
