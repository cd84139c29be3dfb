-- The same with where the due jobs of the known priorities begin, while nothing came back to its place since the queue's
-- count of `returns` was read: see dead_rows.py. Others in use are found between the known ones.
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
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = ''
          AND priority < level.priority AND priority > below.priority
        ORDER BY priority DESC
        LIMIT 1
    ) AS found ON true
    WHERE level.priority > -101
),
