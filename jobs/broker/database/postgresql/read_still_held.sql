-- Those of these jobs that the process still holds under these tokens: they could not be settled, somebody holds them.
SELECT job.id
FROM json_to_recordset(%(claims)s::json) AS given (id uuid, token bigint)
JOIN jobs_job AS job ON job.id = given.id
WHERE job.state = 'active' AND job.worker_id = %(worker)s AND job.token = given.token
