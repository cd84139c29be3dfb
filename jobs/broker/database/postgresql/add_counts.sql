-- Adds to the counters of the present hour: to a row that nobody holds, or to a new one, so that nobody waits.
-- The odd rows are for exchanges only: see part_of_this_thread.
WITH hour AS MATERIALIZED (SELECT date_trunc('hour', clock_timestamp(), 'UTC') AS hour),
free AS MATERIALIZED (
    SELECT id FROM jobs_taskstat
    WHERE queue = %(queue)s AND task = %(task)s AND outcome = %(outcome)s AND ran = %(ran)s AND waited = %(waited)s
      AND hour = (SELECT hour FROM hour) AND part > 0 AND part %% 2 = 0
    ORDER BY part
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
),
added AS (
    UPDATE jobs_taskstat AS stat SET
        jobs = stat.jobs + %(jobs)s,
        ran_ms = stat.ran_ms + %(ran_ms)s,
        waited_ms = stat.waited_ms + %(waited_ms)s
    FROM free
    WHERE stat.id = free.id
)
INSERT INTO jobs_taskstat AS stat
    (queue, task, outcome, ran, waited, hour, part, jobs, ran_ms, waited_ms)
SELECT %(queue)s, %(task)s, %(outcome)s, %(ran)s, %(waited)s, hour, %(part)s, %(jobs)s, %(ran_ms)s, %(waited_ms)s
FROM hour
WHERE NOT EXISTS (SELECT FROM free)
ON CONFLICT (queue, task, outcome, ran, waited, hour, part) DO UPDATE SET
    jobs = stat.jobs + excluded.jobs,
    ran_ms = stat.ran_ms + excluded.ran_ms,
    waited_ms = stat.waited_ms + excluded.waited_ms
