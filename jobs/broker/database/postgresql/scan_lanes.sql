-- The lanes of one priority behind a lane, and when the first job of each is due: one step into the index for each.
WITH RECURSIVE walk AS (
    (
        SELECT lane, ready_at, 1 AS step FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s AND lane > %(after)s
        ORDER BY lane, ready_at
        LIMIT 1
    )
    UNION ALL
    SELECT next.lane, next.ready_at, step + 1
    FROM walk
    CROSS JOIN LATERAL (
        SELECT lane, ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s AND lane > walk.lane
        ORDER BY lane, ready_at
        LIMIT 1
    ) AS next
    WHERE step < %(most)s
)
SELECT lane, ready_at FROM walk
