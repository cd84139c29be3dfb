-- The same of the jobs that must run alone.
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
    SELECT id, expires_at <= (SELECT now FROM clock) AS late FROM jobs_job
    WHERE (SELECT open FROM gate) AND NOT (SELECT found FROM laned) AND queue = %(queue)s AND state = 'queued' AND alone
      AND ready_at <= (SELECT now FROM clock)
    ORDER BY priority DESC, ready_at, id
    LIMIT %(wanted)s
    FOR UPDATE SKIP LOCKED
),
to_come AS MATERIALIZED (
    SELECT min(ready_at) AS ready_at FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at > (SELECT now FROM clock)
),
