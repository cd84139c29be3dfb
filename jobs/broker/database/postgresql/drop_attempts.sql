-- The attempts of jobs whose rows are gone.
DELETE FROM jobs_attempt
WHERE job_id = ANY(%(ids)s::uuid[])
