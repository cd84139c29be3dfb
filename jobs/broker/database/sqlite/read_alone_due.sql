-- The first due jobs that must run alone. There are few of these.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT id, lane, ready_at, tags
FROM jobs_job INDEXED BY jobs_ready_alone
WHERE queue = :queue AND state = 'queued' AND alone AND alone = 1 AND ready_at <= :now
ORDER BY priority DESC, ready_at, id
LIMIT :most
