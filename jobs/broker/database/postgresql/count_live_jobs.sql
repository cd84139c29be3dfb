-- A queue's live jobs; each number stops at 10,000. Walked by priority, so that far jobs cost the near ones nothing.
WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
level AS (
    SELECT max(priority) AS priority FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = ''
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority < level.priority
    )
    FROM level
    WHERE level.priority IS NOT NULL
),
laned AS (
    SELECT max(priority) AS priority FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> ''
    UNION ALL
    SELECT (
        SELECT max(priority) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority < laned.priority
    )
    FROM laned
    WHERE laned.priority IS NOT NULL
)
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM level
        CROSS JOIN LATERAL (
            SELECT 1 FROM jobs_job
            WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority
              AND ready_at <= (SELECT now FROM clock)
            LIMIT 10000
        ) AS found
        LIMIT 10000) AS waiting)
    + (SELECT count(*) FROM (
        SELECT 1 FROM laned
        CROSS JOIN LATERAL (
            SELECT 1 FROM jobs_job
            WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = laned.priority
              AND ready_at <= (SELECT now FROM clock)
            LIMIT 10000
        ) AS found
        LIMIT 10000) AS waiting_laned)
    + (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at <= (SELECT now FROM clock)
        LIMIT 10000) AS waiting_alone),
    (SELECT count(*) FROM (
        SELECT 1 FROM level
        CROSS JOIN LATERAL (
            SELECT 1 FROM jobs_job
            WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = level.priority
              AND ready_at > (SELECT now FROM clock)
            LIMIT 10000
        ) AS found
        LIMIT 10000) AS scheduled)
    + (SELECT count(*) FROM (
        SELECT 1 FROM laned
        CROSS JOIN LATERAL (
            SELECT 1 FROM jobs_job
            WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = laned.priority
              AND ready_at > (SELECT now FROM clock)
            LIMIT 10000
        ) AS found
        LIMIT 10000) AS scheduled_laned)
    + (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at > (SELECT now FROM clock)
        LIMIT 10000) AS scheduled_alone),
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job WHERE queue = %(queue)s AND state = 'active' LIMIT 10000) AS active)
