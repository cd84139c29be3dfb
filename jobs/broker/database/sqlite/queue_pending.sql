-- pending -> queued: the outbox gives a job to the queue, unless another live job holds its key.
-- The due time of its acceptance stays.
UPDATE jobs_job
SET state = 'queued'
WHERE id = :id AND run = :run AND state = 'pending'
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS holder
      WHERE holder.queue = :queue AND holder.key = :key AND holder.key IS NOT NULL
        AND holder.state IN ('queued', 'active')
  )
RETURNING id
