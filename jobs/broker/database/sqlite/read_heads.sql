-- For each priority in use, the highest first, when its first queued job is due: a few steps into the index jobs_ready.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
WITH RECURSIVE priorities (priority) AS (
    SELECT max(priority) FROM jobs_job INDEXED BY jobs_ready
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job INDEXED BY jobs_ready
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0
          AND job.priority < priorities.priority
    )
    FROM priorities
    WHERE priorities.priority IS NOT NULL
)
SELECT
    priorities.priority,
    (
        SELECT ready_at FROM jobs_job INDEXED BY jobs_ready
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND priority = priorities.priority
        ORDER BY ready_at
        LIMIT 1
    )
FROM priorities
WHERE priorities.priority IS NOT NULL
