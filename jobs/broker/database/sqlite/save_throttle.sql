-- A throttle begins with this job.
INSERT INTO jobs_throttle (queue, key, job_id, until) VALUES (:queue, :key, :id, :until)
ON CONFLICT (queue, key) DO UPDATE SET job_id = excluded.job_id, until = excluded.until
