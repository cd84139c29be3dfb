-- A duplicate of a job that is in its batch already counts no more.
DELETE FROM jobs_member
WHERE job_id = :id AND state = ''
RETURNING batch_id
