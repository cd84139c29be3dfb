-- pending -> queued: the outbox gives a job to the queue, unless another live job holds its key.
-- The due time of its acceptance stays. Who asks holds the lock of the key.
UPDATE jobs_job
SET state = 'queued'
WHERE id = %(id)s AND run = %(run)s AND state = 'pending'
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS holder
      WHERE holder.queue = %(queue)s AND holder.key = %(key)s AND holder.key IS NOT NULL
        AND holder.state IN ('queued', 'active')
  )
RETURNING id
