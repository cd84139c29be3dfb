-- Keeps how these jobs have ended, for those that wait for them.
UPDATE jobs_edge
SET state = job.state, result = job.result, error = CASE WHEN job.error <> '' THEN job.error ELSE job.reason END
FROM jobs_job AS job
WHERE jobs_edge.state = '' AND jobs_edge.awaited_id = job.id
  AND job.id IN (SELECT value FROM json_each(:ids))
