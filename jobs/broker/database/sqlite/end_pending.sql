-- Ends this run of a job that is still pending.
UPDATE jobs_job SET state = :state, ended_at = :now, reason = :reason
WHERE id = :id AND run = :run AND state = 'pending'
RETURNING queue, task
