-- Change a job that waits; it keeps its ready time unless that is to change. Answers whether it is due soon.
WITH changed AS (
    UPDATE jobs_job
    SET ready_at = coalesce(%(ready_at)s::timestamptz, ready_at),
        timed_at = CASE WHEN %(ready_at)s::timestamptz IS NULL THEN timed_at ELSE %(timed_at)s::timestamptz END,
        priority = coalesce(%(priority)s::smallint, priority),
        message = coalesce(%(message)s::text, message)
    WHERE id = %(id)s AND queue = %(queue)s AND state IN ('blocked', 'queued', 'pending')
      AND (%(was)s::text IS NULL OR message = %(was)s::text)
    RETURNING queue, ready_at
),
noted AS (
    -- among those of its new priority it may stand at an old place: see dead_rows.py
    INSERT INTO jobs_queuestate AS held (queue, paused, returns)
    SELECT queue, false, 1
    FROM changed
    WHERE %(priority)s::smallint IS NOT NULL AND ready_at < clock_timestamp() - interval '0.5 second'
    ON CONFLICT (queue) DO UPDATE SET returns = held.returns + 1
)
SELECT ready_at <= %(soon)s::timestamptz
FROM changed
