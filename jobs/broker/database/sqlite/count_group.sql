-- How many due jobs of a group wait at one priority, over all its lanes; each of the two numbers stops at a number.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
          AND lane = :group AND ready_at <= :now
        ORDER BY lane, ready_at
        LIMIT :most) AS plain)
    + (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
          AND lane > :group AND lane < :behind AND ready_at <= :now
        ORDER BY lane, ready_at
        LIMIT :most) AS limited)
