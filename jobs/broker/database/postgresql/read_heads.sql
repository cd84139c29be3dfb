-- For each priority, when its first queued job is due. Ten steps into the index jobs_ready, whatever waits behind.
SELECT lane.priority, head.ready_at
FROM generate_series(1, 10) AS lane (priority)
CROSS JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = lane.priority
    ORDER BY ready_at
    LIMIT 1
) AS head
