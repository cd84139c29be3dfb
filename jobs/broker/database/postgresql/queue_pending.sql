-- pending -> queued: the outbox gives a job to the queue, unless another live job holds its key.
-- The due time of its acceptance stays. Who asks holds the lock of the key.
WITH moved AS (
    UPDATE jobs_job
    SET state = 'queued'
    WHERE id = %(id)s AND run = %(run)s AND state = 'pending'
      AND NOT EXISTS (
          SELECT 1 FROM jobs_job AS holder
          WHERE holder.queue = %(queue)s AND holder.key = %(key)s AND holder.key IS NOT NULL
            AND holder.state IN ('queued', 'active')
      )
    RETURNING id, queue, ready_at
),
noted AS (
    -- one that waited for the job with its key stands at an old place: see dead_rows.py
    INSERT INTO jobs_queuestate AS held (queue, paused, returns)
    SELECT queue, false, 1
    FROM moved
    WHERE ready_at < clock_timestamp() - interval '0.5 second'
    ON CONFLICT (queue) DO UPDATE SET returns = held.returns + 1
)
SELECT id FROM moved
