-- queued -> expired: one job, handed back a moment ago by the worker that met it too late.
UPDATE jobs_job
SET state = 'expired', ended_at = clock_timestamp()
WHERE id = %(id)s AND state = 'queued'
RETURNING state
