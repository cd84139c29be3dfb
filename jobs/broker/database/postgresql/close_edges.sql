-- Keeps how these jobs have ended, for those that wait for them.
-- `|| ''`: the ids are the way in, however few rows of this state the planner takes for granted.
UPDATE jobs_edge AS edge
SET state = job.state, result = job.result, error = CASE WHEN job.error <> '' THEN job.error ELSE job.reason END
FROM jobs_job AS job
WHERE edge.state || '' = '' AND job.id = edge.awaited_id
  AND edge.awaited_id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
