-- How many due jobs of a queue wait, by task, of those that have rules of their own; stops at a number for each priority.
WITH RECURSIVE level AS (
    SELECT max(priority) AS priority FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> ''
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority < level.priority
    )
    FROM level
    WHERE level.priority IS NOT NULL
)
SELECT due.task, count(*)
FROM level
CROSS JOIN LATERAL (
    SELECT job.task FROM jobs_job AS job
    WHERE job.queue = %(queue)s AND job.state = 'queued' AND NOT job.alone AND job.lane <> ''
      AND job.priority = level.priority AND job.ready_at <= %(now)s::timestamp AT TIME ZONE 'UTC'
    ORDER BY job.ready_at
    LIMIT %(most)s
) AS due
GROUP BY due.task
