-- The lanes of the jobs of one priority that have become due since a moment, and how many; at most so many are looked at.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT lane, count(*)
FROM (
    SELECT lane FROM jobs_job INDEXED BY jobs_ready_laned
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
      AND ready_at > :since AND ready_at <= :now
    ORDER BY ready_at
    LIMIT :most
)
GROUP BY lane
