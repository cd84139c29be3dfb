-- active -> queued: the jobs of a process that was stopped on purpose; cancelled, if that was asked.
-- A job that somebody else holds locked is left for the next reaper.
WITH returned AS (
    UPDATE jobs_job
    SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END,
        ended_at = CASE WHEN cancel_requested THEN clock_timestamp() END,
        starts = starts + 1, worker_id = NULL
    WHERE state = 'active' AND id IN (
        SELECT id FROM jobs_job
        WHERE state = 'active' AND worker_id = %(worker)s
        ORDER BY id
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id, run, queue, state, claimed_at
),
noted AS (
    -- they stand at their old places: see exchange_jobs
    INSERT INTO jobs_queuestate AS held (queue, paused, returns)
    SELECT DISTINCT queue, false, 1
    FROM returned
    WHERE state = 'queued'
    ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET returns = held.returns + 1
)
SELECT id, run, queue, state, claimed_at
FROM returned
