-- For each priority, when its first queued job is due that lies not before `since`; one row at least.
first AS (
    SELECT priority, ready_at
    FROM level
    LEFT JOIN LATERAL (
        SELECT ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = level.priority
          AND ready_at >= coalesce(level.since, '-infinity')
        ORDER BY ready_at
        LIMIT 1
    ) AS head ON true
    WHERE priority BETWEEN -100 AND 100
)
SELECT priority, ready_at, returns, now, (extract(epoch FROM clock_timestamp() - now) * 1000000)::integer
FROM clock
CROSS JOIN hold
LEFT JOIN first ON true
