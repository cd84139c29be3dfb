-- queued -> expired: one job, handed back a moment ago by the worker that met it too late.
UPDATE jobs_job
SET state = 'expired', ended_at = :now
WHERE id = :id AND state = 'queued'
RETURNING state
