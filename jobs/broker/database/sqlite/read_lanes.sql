-- The first due jobs of each of these lanes.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT job.id, job.lane, job.ready_at, job.tags
FROM json_each(:lanes) AS given
CROSS JOIN jobs_job AS job ON job.id IN (
    SELECT id FROM jobs_job INDEXED BY jobs_lanes
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = :priority
      AND lane = given.value AND ready_at <= :now
    ORDER BY ready_at, id
    LIMIT :most
)
