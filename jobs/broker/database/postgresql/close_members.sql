-- Keeps how these jobs have ended in their batches; a retried dead letter may complete after all.
-- `|| ''`: the ids are the way in, however few rows of this state the planner takes for granted.
UPDATE jobs_member AS member
SET state = job.state
FROM jobs_job AS job
WHERE job.id = member.job_id
  AND member.job_id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
  AND job.state || '' IN ('completed', 'failed', 'cancelled', 'expired')
  AND (member.state || '' = '' OR (member.state || '' = 'failed' AND job.state || '' = 'completed'))
RETURNING member.batch_id
