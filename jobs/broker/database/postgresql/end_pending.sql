-- Ends this run of a job that is still pending.
UPDATE jobs_job SET state = %(state)s, ended_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(id)s AND run = %(run)s AND state = 'pending'
RETURNING queue, task
