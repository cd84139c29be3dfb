-- How many jobs of one priority stand before a place in each of these lanes; at most so many are counted of each.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT
    given.value,
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
          AND lane = given.value AND (ready_at, id) < (:ready_at, :id)
          AND (expires_at IS NULL OR expires_at > :now)
        LIMIT :most))
FROM json_each(:lanes) AS given
