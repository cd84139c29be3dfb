-- How many jobs without a lane of one priority stand before a place; at most so many are counted.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT count(*) FROM (
    SELECT 1 FROM jobs_job INDEXED BY jobs_ready
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND lane = '' AND priority = :priority
      AND (ready_at, id) < (:ready_at, :id)
      AND (expires_at IS NULL OR expires_at > :now)
    LIMIT :most
)
