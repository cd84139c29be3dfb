-- For each priority in use, the highest first, when its first queued job is due: a few steps into the index jobs_ready.
WITH RECURSIVE lane AS (
    SELECT max(priority) AS priority FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority < lane.priority
    )
    FROM lane
    WHERE lane.priority IS NOT NULL
)
SELECT lane.priority, head.ready_at
FROM lane
CROSS JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = lane.priority
    ORDER BY ready_at
    LIMIT 1
) AS head
