-- Keeps how these jobs have ended in their batches; a retried dead letter may complete after all.
UPDATE jobs_member
SET state = job.state
FROM jobs_job AS job
WHERE jobs_member.job_id = job.id AND jobs_member.state IN ('', 'failed') AND jobs_member.state <> job.state
  AND job.state IN ('completed', 'failed', 'cancelled', 'expired')
  AND job.id IN (SELECT value FROM json_each(:ids))
  AND (jobs_member.state = '' OR job.state = 'completed')
RETURNING batch_id
