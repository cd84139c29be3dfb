-- What is claimed, the counters, for how long there is nothing to claim, and the reply for the case that it gets lost.
claimed AS (
    UPDATE jobs_job AS job
    SET state = CASE WHEN late THEN 'expired' ELSE 'active' END,
        ended_at = CASE WHEN late THEN now END,
        claimed_at = CASE WHEN late THEN job.claimed_at ELSE now END,
        worker_id = CASE WHEN late THEN NULL ELSE %(worker)s::uuid END,
        token = token + 1
    FROM picked, clock
    WHERE job.id = picked.id AND (SELECT fresh AND lasts FROM owner)
      AND NOT EXISTS (SELECT FROM settled WHERE whole_queue)
    RETURNING job.id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at,
        unknown_since, event, event_id, about_type, about_id, scope, "group", tags, state
),
counted AS (
    INSERT INTO jobs_taskstat AS stat
        (queue, task, outcome, ran, waited, hour, part, jobs, ran_ms, waited_ms)
    SELECT %(queue)s, task, counted_as, ran, waited, date_trunc('hour', now, 'UTC'), %(part)s,
        count(*), sum(ran_ms), sum(waited_ms)
    FROM (
        SELECT task, CASE WHEN state <> 'queued' THEN state WHEN act = 'retry' THEN 'retried' ELSE outcome END AS counted_as,
            ran, waited, ran_ms, waited_ms
        FROM settled
        WHERE state <> 'queued' OR act = 'retry' OR started_at IS NOT NULL
        UNION ALL
        SELECT task, 'expired', -1::smallint, -1::smallint, 0, 0 FROM claimed WHERE state = 'expired'
    ) AS numbers
    CROSS JOIN clock
    GROUP BY task, counted_as, ran, waited, now
    ORDER BY task, counted_as, ran, waited
    ON CONFLICT (queue, task, outcome, ran, waited, hour, part) DO UPDATE SET
        jobs = stat.jobs + excluded.jobs, ran_ms = stat.ran_ms + excluded.ran_ms,
        waited_ms = stat.waited_ms + excluded.waited_ms
),
answer AS MATERIALIZED (
    SELECT CASE
        WHEN %(wanted)s = 0 OR paused THEN NULL
        WHEN greatest(wait_until, until) > now THEN extract(epoch FROM greatest(wait_until, until) - now)
        WHEN limited THEN 0
        WHEN NOT gate.open THEN NULL
        WHEN (SELECT found FROM laned) THEN 0
        WHEN (SELECT count(*) FROM picked) >= %(wanted)s THEN 0
        ELSE extract(epoch FROM least(back_at, (SELECT ready_at FROM to_come)) - now)
    END::double precision AS wait
    FROM clock, hold, gate, (
        SELECT max(now + delay * interval '1 second') FILTER (WHERE whole_queue) AS until,
            min(ready_at) FILTER (WHERE state = 'queued') AS back_at
        FROM settled
    ) AS settled
),
saved AS (
    UPDATE jobs_process
    SET exchange_number = %(number)s, exchanged_at = now, reply = json_build_object(
        'settled', (SELECT coalesce(json_object_agg(id, state), '{}') FROM settled),
        'wait', wait
    )::text
    FROM clock, answer
    WHERE id = %(worker)s AND %(saves)s AND (SELECT fresh FROM owner)
)
SELECT 'claimed' AS kind, id, run::integer, task, message, priority::integer, token, attempts::integer, starts,
    lost::integer, ready_at, key, expires_at, unknown_since, event, event_id, about_type, about_id, scope, "group", tags
FROM claimed
WHERE state = 'active'
UNION ALL
SELECT 'settled', id, (awaited AND state <> 'queued')::integer, state, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL
FROM settled
UNION ALL
SELECT 'moment', NULL, coalesce((SELECT fresh FROM owner), (SELECT fresh FROM worker), true)::integer, NULL,
    wait::text, gate.open::integer, hold.returns, (SELECT microseconds FROM walk), limited::integer,
    (SELECT found FROM laned)::integer, clock.now, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM clock, hold, gate, answer
