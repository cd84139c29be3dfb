-- For each priority, when its first queued job is due that lies not before `since`, and the same of jobs with a lane; one
-- row at least.
laned AS (
    SELECT 101 AS priority
    UNION ALL
    SELECT found.priority
    FROM laned
    CROSS JOIN LATERAL (
        SELECT priority FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority < laned.priority
        ORDER BY priority DESC
        LIMIT 1
    ) AS found
),
first AS (
    SELECT priority, ready_at, false AS has_lane
    FROM level
    LEFT JOIN LATERAL (
        SELECT ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority
          AND ready_at >= coalesce(level.since, '-infinity')
        ORDER BY ready_at
        LIMIT 1
    ) AS head ON true
    WHERE priority BETWEEN -100 AND 100
    UNION ALL
    SELECT priority, ready_at, true
    FROM laned
    CROSS JOIN LATERAL (
        SELECT ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = laned.priority
        ORDER BY ready_at
        LIMIT 1
    ) AS head
)
SELECT priority, ready_at, has_lane, returns, now, (extract(epoch FROM clock_timestamp() - now) * 1000000)::integer
FROM clock
CROSS JOIN hold
LEFT JOIN first ON true
