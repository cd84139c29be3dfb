-- When the next job of a queue becomes due, with a lane or without.
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
SELECT min(ready_at) FROM (
    SELECT level.priority, head.ready_at
    FROM level
    CROSS JOIN LATERAL (
        SELECT ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority AND ready_at > %(now)s
        ORDER BY ready_at
        LIMIT 1
    ) AS head
    UNION ALL
    SELECT laned.priority, head.ready_at
    FROM laned
    CROSS JOIN LATERAL (
        SELECT ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = laned.priority AND ready_at > %(now)s
        ORDER BY ready_at
        LIMIT 1
    ) AS head
) AS to_come
