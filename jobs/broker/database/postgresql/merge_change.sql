-- What people have changed of jobs whose rows were there, beside their due time, as JSON.
UPDATE jobs_job AS job
SET priority = given.priority, message = given.message, timed_at = given.timed_at
FROM json_to_recordset(%(rows)s::json) AS given (id uuid, priority smallint, message text, timed_at timestamptz)
WHERE job.id = given.id
