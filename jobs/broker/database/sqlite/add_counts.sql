-- Adds to a queue's counters of one hour.
INSERT INTO jobs_queuestat
    (queue, hour, part, completed, failed, retried, lost, cancelled, expired, discarded, ran_ms, waited_ms)
VALUES
    (:queue, :hour, 0, :completed, :failed, :retried, :lost, :cancelled, :expired, :discarded, :ran_ms, :waited_ms)
ON CONFLICT (queue, hour, part) DO UPDATE SET
    completed = completed + excluded.completed,
    failed = failed + excluded.failed,
    retried = retried + excluded.retried,
    lost = lost + excluded.lost,
    cancelled = cancelled + excluded.cancelled,
    expired = expired + excluded.expired,
    discarded = discarded + excluded.discarded,
    ran_ms = ran_ms + excluded.ran_ms,
    waited_ms = waited_ms + excluded.waited_ms
