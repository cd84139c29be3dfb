-- How many due jobs of a group wait, over all its lanes; stops at a number. A few steps into two indexes for each
-- priority in use, and then one for each job.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
WITH RECURSIVE laned (priority) AS (
    SELECT max(priority) FROM jobs_job INDEXED BY jobs_ready_laned
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '')
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job INDEXED BY jobs_ready_laned
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND NOT (job.lane = '')
          AND job.priority < laned.priority
    )
    FROM laned
    WHERE laned.priority IS NOT NULL
),
places (priority, lane) AS (
    SELECT priority, (
        SELECT min(lane) FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = laned.priority
          AND lane >= :group AND lane < :behind
    )
    FROM laned
    WHERE priority IS NOT NULL
    UNION ALL
    SELECT priority, (
        SELECT min(lane) FROM jobs_job INDEXED BY jobs_lanes
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = places.priority
          AND lane > places.lane AND lane < :behind
    )
    FROM places
    WHERE lane IS NOT NULL
)
SELECT count(*) FROM (
    SELECT 1
    FROM places
    JOIN jobs_job INDEXED BY jobs_lanes ON jobs_job.priority = places.priority AND jobs_job.lane = places.lane
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (jobs_job.lane = '') AND jobs_job.ready_at <= :now
    LIMIT :most
) AS waiting
