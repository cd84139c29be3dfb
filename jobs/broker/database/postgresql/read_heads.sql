-- For each priority in use, the highest first, when its first queued job is due: a few steps into the index jobs_ready.
WITH RECURSIVE level AS (
    SELECT max(priority) AS priority FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority < level.priority
    )
    FROM level
    WHERE level.priority IS NOT NULL
)
SELECT level.priority, head.ready_at
FROM level
CROSS JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = level.priority
    ORDER BY ready_at
    LIMIT 1
) AS head
