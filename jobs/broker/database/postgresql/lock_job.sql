-- Let nobody else change a job until the end of this transaction.
SELECT 1
FROM jobs_job
WHERE id = %(id)s
FOR UPDATE
