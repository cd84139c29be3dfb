-- The lanes of one priority behind a lane, and when the first job of each is due: one step into the index for each.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
WITH RECURSIVE walk (lane, step) AS (
    SELECT min(lane), 1 FROM jobs_job INDEXED BY jobs_lanes
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
      AND lane > :after
    UNION ALL
    SELECT (
        SELECT min(lane) FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '')
          AND priority = :priority AND lane > walk.lane
    ), step + 1
    FROM walk
    WHERE walk.lane IS NOT NULL AND step < :most
)
SELECT walk.lane, (
    SELECT ready_at FROM jobs_job INDEXED BY jobs_lanes
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
      AND lane = walk.lane
    ORDER BY ready_at
    LIMIT 1
)
FROM walk
WHERE walk.lane IS NOT NULL
