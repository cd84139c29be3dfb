-- blocked, pending or queued -> cancelled.
UPDATE jobs_job
SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(id)s AND queue = %(queue)s AND state IN ('blocked', 'pending', 'queued')
RETURNING queue, task
