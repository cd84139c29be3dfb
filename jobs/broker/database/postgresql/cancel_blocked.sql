-- blocked -> cancelled.
UPDATE jobs_job
SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(id)s AND state = 'blocked'
RETURNING queue, task
