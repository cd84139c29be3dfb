-- The due jobs in their order (G5), and when the next one is due. Nothing where jobs with a lane wait, or tags are
-- paused: turns.py picks there.
laned AS MATERIALIZED (
    SELECT (
        SELECT max(priority) FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> ''
    ) IS NOT NULL
        OR (
        SELECT min(ready_at) FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND alone AND lane <> ''
    ) IS NOT NULL
        OR (SELECT has_paused_tags FROM hold) AS found
),
picked AS MATERIALIZED (
    SELECT ready.id, ready.expires_at <= (SELECT now FROM clock) AS late
    FROM level
    CROSS JOIN LATERAL (
        SELECT id, expires_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority
          AND ready_at >= coalesce(level.since, '-infinity') AND ready_at <= (SELECT now FROM clock)
        ORDER BY ready_at, id
        LIMIT %(wanted)s
        FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE (SELECT open FROM gate) AND NOT (SELECT found FROM laned)
    LIMIT %(wanted)s
),
to_come AS MATERIALIZED (
    SELECT min(next.ready_at) AS ready_at
    FROM clock
    CROSS JOIN level
    CROSS JOIN LATERAL (
        SELECT ready_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority AND ready_at > now
        ORDER BY ready_at
        LIMIT 1
    ) AS next
),
