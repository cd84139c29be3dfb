-- What the database knows of a pushed id.
SELECT run, state, expires_at IS NOT NULL AND expires_at <= clock_timestamp() AS has_expired, queue
FROM jobs_job
WHERE id = %(id)s
