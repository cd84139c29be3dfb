-- For each priority in use when its first queued job is due, with a lane and without: a few steps into two indexes.
WITH RECURSIVE level AS (
    SELECT max(priority) AS priority FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = ''
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority < level.priority
    )
    FROM level
    WHERE level.priority IS NOT NULL
),
laned AS (
    SELECT max(priority) AS priority FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> ''
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority < laned.priority
    )
    FROM laned
    WHERE laned.priority IS NOT NULL
)
SELECT level.priority, head.ready_at
FROM level
CROSS JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority
    ORDER BY ready_at
    LIMIT 1
) AS head
UNION ALL
SELECT laned.priority, head.ready_at
FROM laned
CROSS JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = laned.priority
    ORDER BY ready_at
    LIMIT 1
) AS head
