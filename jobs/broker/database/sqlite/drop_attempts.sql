-- The attempts of jobs whose rows are gone.
DELETE FROM jobs_attempt
WHERE job_id IN (SELECT value FROM json_each(:ids))
