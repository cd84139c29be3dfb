-- A throttle begins with this job.
INSERT INTO jobs_throttle (queue, key, job_id, until) VALUES (%(queue)s, %(key)s, %(id)s, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (queue, key) DO UPDATE SET job_id = excluded.job_id, until = excluded.until
