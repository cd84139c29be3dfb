-- pending -> expired: its time had passed before it reached the queue.
UPDATE jobs_job
SET state = 'expired', ended_at = :now
WHERE id = :id AND run = :run AND state = 'pending'
RETURNING id
