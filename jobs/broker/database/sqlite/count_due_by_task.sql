-- How many due jobs of a queue wait, by task, of those that have rules of their own; stops at a number for each priority.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
WITH RECURSIVE level (priority) AS (
    SELECT max(priority) FROM jobs_job INDEXED BY jobs_ready_laned
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '')
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job INDEXED BY jobs_ready_laned
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND NOT (job.lane = '')
          AND job.priority < level.priority
    )
    FROM level
    WHERE level.priority IS NOT NULL
)
SELECT task, count(*)
FROM (
    SELECT job.task
    FROM level
    CROSS JOIN jobs_job AS job INDEXED BY jobs_ready_laned
    WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND NOT (job.lane = '')
      AND job.priority = level.priority AND job.ready_at <= :now
    LIMIT :most
) AS due
GROUP BY task
