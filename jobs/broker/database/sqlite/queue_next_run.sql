-- failed -> queued: a dead letter begins its next run with fresh counters, unless another live job holds its key.
-- The token goes on: it never repeats over a job's whole life.
UPDATE jobs_job
SET state = 'queued', run = :run, priority = :priority, message = :message,
    ready_at = :ready_at, timed_at = :now, expires_at = :expires_at,
    attempts = 0, starts = 0, lost = 0, alone = 0, cancel_requested = 0, unknown_since = NULL,
    claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = ''
WHERE id = :id AND run < :run AND state = 'failed'
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS holder
      WHERE holder.queue = :queue AND holder.key = :key AND holder.key IS NOT NULL
        AND holder.state IN ('queued', 'active')
  )
RETURNING id
