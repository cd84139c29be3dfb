-- For each priority in use when its first queued job is due, with a lane and without: a few steps into two indexes.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
WITH RECURSIVE priorities (priority) AS (
    SELECT max(priority) FROM jobs_job INDEXED BY jobs_ready
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND lane = ''
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job INDEXED BY jobs_ready
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND job.lane = ''
          AND job.priority < priorities.priority
    )
    FROM priorities
    WHERE priorities.priority IS NOT NULL
),
laned (priority) AS (
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
)
SELECT
    priority,
    (
        SELECT ready_at FROM jobs_job INDEXED BY jobs_ready
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND lane = '' AND priority = priorities.priority
        ORDER BY ready_at
        LIMIT 1
    )
FROM priorities
WHERE priority IS NOT NULL
UNION ALL
SELECT
    priority,
    (
        SELECT ready_at FROM jobs_job INDEXED BY jobs_ready_laned
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '') AND priority = laned.priority
        ORDER BY ready_at
        LIMIT 1
    )
FROM laned
WHERE priority IS NOT NULL
