-- pending -> expired: its time had passed before it reached the queue.
UPDATE jobs_job
SET state = 'expired', ended_at = clock_timestamp()
WHERE id = %(id)s AND run = %(run)s AND state = 'pending'
RETURNING id
