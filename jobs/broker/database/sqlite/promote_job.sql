-- Make a scheduled or retrying job due now.
UPDATE jobs_job
SET ready_at = :now, timed_at = :now
WHERE id = :id AND queue = :queue AND state = 'queued' AND ready_at > :now
RETURNING id
