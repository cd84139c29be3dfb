-- Keeps how these jobs have ended, for those that wait for them.
UPDATE jobs_edge AS edge
SET state = job.state, result = job.result, error = CASE WHEN job.error <> '' THEN job.error ELSE job.reason END
FROM jobs_job AS job
WHERE edge.state = '' AND edge.awaited_id = job.id
  AND job.id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json))
