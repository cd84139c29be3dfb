-- The jobs that follow the end of a batch, with which end.
SELECT role, job_id
FROM jobs_member
WHERE batch_id = %(id)s AND state = 'follows'
