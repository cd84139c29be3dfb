-- The lanes of the due jobs that must run alone and stand before a place, the first ones. There are few of these.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT lane
FROM jobs_job INDEXED BY jobs_ready_alone
WHERE queue = :queue AND state = 'queued' AND alone AND alone = 1 AND ready_at <= :now
  AND (-priority, ready_at, id) < (-:priority, :ready_at, :id)
  AND (expires_at IS NULL OR expires_at > :now)
ORDER BY priority DESC, ready_at, id
LIMIT :most
