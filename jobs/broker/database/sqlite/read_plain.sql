-- The first due jobs without a lane of one priority.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT id, lane, ready_at, tags
FROM jobs_job INDEXED BY jobs_ready
WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND lane = '' AND priority = :priority
  AND ready_at <= :now
ORDER BY ready_at, id
LIMIT :most
