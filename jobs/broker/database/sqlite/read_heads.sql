-- For each priority, when its first queued job is due. Ten steps into the index jobs_ready, whatever waits behind.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT
    priorities.column1,
    (
        SELECT ready_at FROM jobs_job INDEXED BY jobs_ready
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND priority = priorities.column1
        ORDER BY ready_at
        LIMIT 1
    )
FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)) AS priorities
