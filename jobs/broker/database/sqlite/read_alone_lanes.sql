-- The lanes of the jobs that must run alone, and when each is due. There are few of these.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT lane, ready_at
FROM jobs_job INDEXED BY jobs_ready_alone
WHERE queue = :queue AND state = 'queued' AND alone AND alone = 1 AND NOT (lane = '')
