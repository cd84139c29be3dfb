-- Adds to the counters of a given hour and part.
INSERT INTO jobs_taskstat AS stat
    (queue, task, outcome, ran, waited, hour, part, jobs, ran_ms, waited_ms)
VALUES (
    %(queue)s, %(task)s, %(outcome)s, %(ran)s, %(waited)s, %(hour)s::timestamp AT TIME ZONE 'UTC', %(part)s,
    %(jobs)s, %(ran_ms)s, %(waited_ms)s
)
ON CONFLICT (queue, task, outcome, ran, waited, hour, part) DO UPDATE SET
    jobs = stat.jobs + excluded.jobs,
    ran_ms = stat.ran_ms + excluded.ran_ms,
    waited_ms = stat.waited_ms + excluded.waited_ms
