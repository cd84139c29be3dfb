-- Keeps how these jobs have ended in their batches; a retried dead letter may complete after all.
UPDATE jobs_member
SET state = job.state
FROM jobs_job AS job
WHERE jobs_member.job_id = job.id AND job.id IN (SELECT value FROM json_each(:ids))
  AND job.state IN ('completed', 'failed', 'cancelled', 'expired')
  AND (jobs_member.state = '' OR (jobs_member.state = 'failed' AND job.state = 'completed'))
RETURNING batch_id
