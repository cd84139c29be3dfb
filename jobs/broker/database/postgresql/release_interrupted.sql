-- active -> queued: the jobs of a process that was stopped on purpose; cancelled, if that was asked.
-- A job that somebody else holds locked, or whose queue's row somebody does, remains.
WITH noting AS MATERIALIZED (
    SELECT queue FROM jobs_queuestate
    WHERE queue IN (SELECT queue FROM jobs_job WHERE state = 'active' AND worker_id = %(worker)s)
    FOR NO KEY UPDATE SKIP LOCKED
),
returned AS (
    UPDATE jobs_job
    SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END,
        ended_at = CASE WHEN cancel_requested THEN clock_timestamp() END,
        starts = starts + 1, worker_id = NULL
    WHERE state = 'active' AND id IN (
        SELECT id FROM jobs_job
        WHERE state = 'active' AND worker_id = %(worker)s AND (
            queue IN (SELECT queue FROM noting)
            OR NOT EXISTS (SELECT FROM jobs_queuestate AS held WHERE held.queue = jobs_job.queue)
        )
        ORDER BY id
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id, run, queue, state, claimed_at, task
),
noted AS (
    -- they stand at their old places: see dead_rows.py
    INSERT INTO jobs_queuestate AS held (queue, paused, returns)
    SELECT DISTINCT queue, false, 1
    FROM returned
    WHERE state = 'queued'
    ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET returns = held.returns + 1
)
SELECT id, run, queue, state, claimed_at, task
FROM returned
