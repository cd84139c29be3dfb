-- The first due jobs of one lane, and how long their arguments are.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT id, lane, ready_at, tags, length(message)
FROM jobs_job INDEXED BY jobs_lanes
WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
  AND lane = :lane AND ready_at <= :now
ORDER BY ready_at, id
LIMIT :most
