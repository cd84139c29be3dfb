-- How many jobs of one priority wait in each of these lanes, due and yet to come; each number stops at 10,000.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT
    given.value,
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
          AND lane = given.value AND ready_at <= :now
        LIMIT 10000)),
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
          AND lane = given.value AND ready_at > :now
        LIMIT 10000))
FROM json_each(:lanes) AS given
