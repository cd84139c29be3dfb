-- The priorities in use, highest first; each is found behind the one before.
level AS (
    SELECT 101 AS priority, NULL::timestamptz AS since
    UNION ALL
    SELECT found.priority, level.since
    FROM level
    CROSS JOIN LATERAL (
        SELECT priority FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority < level.priority
        ORDER BY priority DESC
        LIMIT 1
    ) AS found
),
