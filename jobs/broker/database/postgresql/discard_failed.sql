-- failed -> cancelled: a dead letter is given up.
UPDATE jobs_job
SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(id)s AND queue = %(queue)s AND state = 'failed'
RETURNING queue, task
