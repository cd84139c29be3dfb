-- For each priority, when its first queued job is due that lies not before `since`; see exchange_jobs and level.
--
-- Answers with a row for each priority: priority, ready_at or NULL, the queue's count of `returns`, now, and the
-- microseconds of the walk so far; with one row of NULL and these where there is none.
WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
hold AS MATERIALIZED (
    SELECT coalesce((SELECT returns FROM jobs_queuestate WHERE queue = %(queue)s), 0) AS returns
),
known AS MATERIALIZED (
    SELECT * FROM unnest(
        %(priorities)s::smallint[],
        CASE WHEN (SELECT returns FROM hold) = %(returns)s THEN %(since)s::timestamptz[] END
    ) AS known (priority, since)
),
level AS (
    SELECT 101 AS priority, NULL::timestamptz AS since
    UNION ALL
    SELECT coalesce(found.priority, below.priority), CASE WHEN found.priority IS NULL THEN below.since END
    FROM level
    CROSS JOIN LATERAL (
        SELECT coalesce(max(priority), -101)::integer AS priority, max(since) AS since FROM (
            SELECT priority, since FROM known WHERE priority < level.priority ORDER BY priority DESC LIMIT 1
        ) AS next
    ) AS below
    LEFT JOIN LATERAL (
        SELECT priority FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone
          AND priority < level.priority AND priority > below.priority
        ORDER BY priority DESC
        LIMIT 1
    ) AS found ON true
    WHERE level.priority > -101
)
SELECT nullif(level.priority, -101), head.ready_at, hold.returns, clock.now,
    (extract(epoch FROM clock_timestamp() - clock.now) * 1000000)::integer
FROM clock
CROSS JOIN hold
CROSS JOIN level
LEFT JOIN LATERAL (
    SELECT ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = level.priority
      AND ready_at >= coalesce(level.since, '-infinity')
    ORDER BY ready_at
    LIMIT 1
) AS head ON true
WHERE level.priority < 101
