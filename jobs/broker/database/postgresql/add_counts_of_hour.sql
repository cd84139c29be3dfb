-- Adds to a queue's counters of a given hour: to the part of the merge, which one keeper at a time writes.
INSERT INTO jobs_queuestat AS stat
    (queue, hour, part, completed, failed, retried, lost, cancelled, expired, discarded, ran_ms, waited_ms)
VALUES (
    %(queue)s, %(hour)s::timestamp AT TIME ZONE 'UTC', 0,
    %(completed)s, %(failed)s, %(retried)s, %(lost)s, %(cancelled)s, %(expired)s, %(discarded)s,
    %(ran_ms)s, %(waited_ms)s
)
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
