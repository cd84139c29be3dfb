-- Make a scheduled or retrying job due now.
UPDATE jobs_job
SET ready_at = :now
WHERE id = :id AND state = 'queued' AND ready_at > :now
RETURNING queue
