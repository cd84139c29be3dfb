-- For each priority, when its first queued job is due that lies not before `since`; see exchange_jobs and postgresql_lane.
--
-- Answers with ten rows: priority, ready_at or NULL, the queue's count of `returns`, now, and the microseconds of the
-- walk so far.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
hold AS MATERIALIZED (
    SELECT coalesce((SELECT returns FROM jobs_queuestate WHERE queue = %(queue)s), 0) AS returns
)
SELECT lane.priority, head.ready_at, hold.returns, clock.now,
    (extract(epoch FROM clock_timestamp() - clock.now) * 1000000)::integer
FROM clock
CROSS JOIN hold
CROSS JOIN unnest(%(since)s::timestamptz[]) WITH ORDINALITY AS lane (since, priority)
LEFT JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = lane.priority
      AND ready_at >= CASE WHEN hold.returns = %(returns)s THEN lane.since ELSE '-infinity' END
    ORDER BY ready_at
    LIMIT 1
) AS head ON true
