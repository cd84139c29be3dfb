-- Notes of jobs that others wait for them, or that those have been told.
UPDATE jobs_job
SET awaited = :awaited
WHERE id IN (SELECT value FROM json_each(:ids))
RETURNING id
