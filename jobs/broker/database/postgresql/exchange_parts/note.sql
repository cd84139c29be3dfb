-- What a settlement writes to the queue's row: that all shall wait, or that a job stands at its old place again. Where
-- somebody holds that row, such a settlement is busy.
noting AS MATERIALIZED (
    SELECT queue FROM jobs_queuestate
    WHERE queue = %(queue)s
    FOR NO KEY UPDATE SKIP LOCKED
),
may_note AS MATERIALIZED (
    SELECT FROM noting
    UNION ALL
    SELECT WHERE NOT EXISTS (SELECT FROM jobs_queuestate WHERE queue = %(queue)s)
),
held AS (
    INSERT INTO jobs_queuestate AS held (queue, paused, wait_until, wait_from, returns)
    SELECT queue, false, now + max(delay) FILTER (WHERE whole_queue) * interval '1 second', now,
        count(*) FILTER (WHERE state = 'queued' AND ready_at < now - interval '0.5 second')
    FROM settled
    -- what became ready within the slack of the bounds, a second, they do not skip: half of it is left for the commit
    WHERE whole_queue OR (state = 'queued' AND ready_at < now - interval '0.5 second')
    GROUP BY queue, now
    ON CONFLICT (queue) DO UPDATE SET
        wait_until = greatest(held.wait_until, excluded.wait_until),
        wait_from = CASE
            WHEN excluded.wait_until > coalesce(held.wait_until, '-infinity') THEN excluded.wait_from ELSE held.wait_from
        END,
        returns = held.returns + excluded.returns
),
