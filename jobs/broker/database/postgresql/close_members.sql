-- Keeps how these jobs have ended in their batches; a retried dead letter may complete after all.
UPDATE jobs_member AS member
SET state = job.state
FROM jobs_job AS job
WHERE member.job_id = job.id AND member.state IN ('', 'failed') AND member.state <> job.state
  AND job.state IN ('completed', 'failed', 'cancelled', 'expired')
  AND job.id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json))
  AND (member.state = '' OR job.state = 'completed')
RETURNING member.batch_id
