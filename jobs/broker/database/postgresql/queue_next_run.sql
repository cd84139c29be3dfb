-- failed -> queued: a dead letter begins its next run with fresh counters, unless another live job holds its key.
-- The token goes on: it never repeats over a job's whole life. Who asks holds the lock of the key.
UPDATE jobs_job
SET state = 'queued', run = %(run)s, priority = %(priority)s, message = %(message)s,
    ready_at = %(ready_at)s::timestamp AT TIME ZONE 'UTC', timed_at = clock_timestamp(),
    expires_at = %(expires_at)s::timestamp AT TIME ZONE 'UTC',
    attempts = 0, starts = 0, lost = 0, alone = false, cancel_requested = false, unknown_since = NULL,
    claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = ''
WHERE id = %(id)s AND run < %(run)s AND state = 'failed'
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS holder
      WHERE holder.queue = %(queue)s AND holder.key = %(key)s AND holder.key IS NOT NULL
        AND holder.state IN ('queued', 'active')
  )
RETURNING id
