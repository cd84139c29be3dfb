-- Adds to a queue's counters of the present hour: to a row that nobody holds, or to a new one, so that nobody waits.
-- The odd rows are for exchanges only: see part_of_this_thread.
WITH hour AS MATERIALIZED (SELECT date_trunc('hour', clock_timestamp(), 'UTC') AS hour),
free AS MATERIALIZED (
    SELECT id FROM jobs_queuestat
    WHERE queue = %(queue)s AND hour = (SELECT hour FROM hour) AND part > 0 AND part %% 2 = 0
    ORDER BY part
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
),
added AS (
    UPDATE jobs_queuestat AS stat SET
        completed = stat.completed + %(completed)s,
        failed = stat.failed + %(failed)s,
        retried = stat.retried + %(retried)s,
        lost = stat.lost + %(lost)s,
        cancelled = stat.cancelled + %(cancelled)s,
        expired = stat.expired + %(expired)s,
        discarded = stat.discarded + %(discarded)s,
        ran_ms = stat.ran_ms + %(ran_ms)s,
        waited_ms = stat.waited_ms + %(waited_ms)s
    FROM free
    WHERE stat.id = free.id
)
INSERT INTO jobs_queuestat AS stat
    (queue, hour, part, completed, failed, retried, lost, cancelled, expired, discarded, ran_ms, waited_ms)
SELECT %(queue)s, hour, %(part)s, %(completed)s, %(failed)s, %(retried)s, %(lost)s, %(cancelled)s, %(expired)s,
    %(discarded)s, %(ran_ms)s, %(waited_ms)s
FROM hour
WHERE NOT EXISTS (SELECT FROM free)
ON CONFLICT (queue, hour, part) DO UPDATE SET
    completed = stat.completed + excluded.completed,
    failed = stat.failed + excluded.failed,
    retried = stat.retried + excluded.retried,
    lost = stat.lost + excluded.lost,
    cancelled = stat.cancelled + excluded.cancelled,
    expired = stat.expired + excluded.expired,
    discarded = stat.discarded + excluded.discarded,
    ran_ms = stat.ran_ms + excluded.ran_ms,
    waited_ms = stat.waited_ms + excluded.waited_ms
