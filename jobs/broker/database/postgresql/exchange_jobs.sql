-- Settle and claim in one statement and one snapshot: what is settled here cannot be claimed here. It waits for nobody's
-- job, queue or counters (`part` is this process's own row): what is locked is neither settled nor claimed.
--
-- settlements: JSON, one object each, ordered by job id; `act` is one of complete, retry, fail, give_up, hand_back;
-- `notes`: it writes to the queue's row. number: the exchange's; nothing happens unless it is higher than the worker's
-- last one. priorities, since: where the due jobs of a priority begin, while nothing came back to its place since the
-- queue's count of `returns` was read: see dead_rows.py. Other priorities in use are found between those.
-- States are written out, because a generic plan uses the partial indexes only then; a CASE hides the conditions of a
-- settle from the planner, which shall go by the primary key and not look for the few rows that they fit.
--
-- Answers with rows of three kinds: 'settled' (id, state reached as task), 'claimed' (the job), and one
-- 'moment' (now as ready_at, whether the number was new as run, whether a claim was possible as priority, returns as
-- token, microseconds of the walk as attempts, seconds until the next look as message).
WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
hold AS MATERIALIZED (
    SELECT coalesce(bool_or(paused), false) AS paused, max(wait_until) AS wait_until, coalesce(max(returns), 0) AS returns
    FROM jobs_queuestate WHERE queue = %(queue)s
),
worker AS MATERIALIZED (
    SELECT exchange_number < %(number)s AS fresh, ending = '' AND lease_until > now AS lasts
    FROM jobs_process, clock
    WHERE id = %(worker)s
),
gate AS MATERIALIZED (
    SELECT %(wanted)s + %(wanted_alone)s > 0 AND coalesce((SELECT fresh AND lasts FROM worker), false)
        AND NOT paused AND coalesce(wait_until <= now, true) AS open, clock_timestamp() AS passed_at
    FROM hold, clock
),
known AS MATERIALIZED (
    SELECT * FROM unnest(
        %(priorities)s::smallint[],
        CASE WHEN (SELECT returns FROM hold) = %(returns)s THEN %(since)s::timestamptz[] END
    ) AS known (priority, since)
),
level AS (
    SELECT 101 AS priority, NULL::timestamptz AS since
    UNION ALL
    SELECT coalesce(found.priority, below.priority), CASE WHEN found.priority IS NULL THEN below.since END
    FROM level
    CROSS JOIN LATERAL (
        SELECT coalesce(max(priority), -101)::integer AS priority, max(since) AS since FROM (
            SELECT priority, since FROM known WHERE priority < level.priority ORDER BY priority DESC LIMIT 1
        ) AS next
    ) AS below
    LEFT JOIN LATERAL (
        SELECT priority FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone
          AND priority < level.priority AND priority > below.priority
        ORDER BY priority DESC
        LIMIT 1
    ) AS found ON true
    WHERE level.priority > -101
),
pick AS MATERIALIZED (
    SELECT ready.id, ready.expires_at <= (SELECT now FROM clock) AS late
    FROM level
    CROSS JOIN LATERAL (
        SELECT id, expires_at FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = level.priority
          AND ready_at >= coalesce(level.since, '-infinity') AND ready_at <= (SELECT now FROM clock)
        ORDER BY ready_at, id
        LIMIT %(wanted)s
        FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE (SELECT open FROM gate)
    LIMIT %(wanted)s
),
pick_alone AS MATERIALIZED (
    SELECT id, expires_at <= (SELECT now FROM clock) AS late FROM jobs_job
    WHERE (SELECT open FROM gate) AND queue = %(queue)s AND state = 'queued' AND alone
      AND ready_at <= (SELECT now FROM clock)
    ORDER BY priority DESC, ready_at, id
    LIMIT %(wanted_alone)s
    FOR UPDATE SKIP LOCKED
),
picked AS MATERIALIZED (SELECT * FROM pick UNION ALL SELECT * FROM pick_alone),
walk AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp() - (SELECT passed_at FROM gate)) * 1000000)::integer AS microseconds
    FROM (SELECT count(*) FROM picked) AS the_whole_walk
),
owner AS MATERIALIZED (
    -- locked from here on: a renewal or a reaper that comes between decides, and an exchange of this number under way
    SELECT host || ':' || pid AS label, exchange_number < %(number)s AS fresh, ending = '' AND lease_until > now AS lasts
    FROM (
        SELECT now FROM clock, walk WHERE %(settles)s OR EXISTS (SELECT FROM picked)
    ) AS needed
    JOIN jobs_process ON jobs_process.id = %(worker)s
    FOR NO KEY UPDATE OF jobs_process
),
given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(settlements)s::json) AS given (
        id uuid, token bigint, act text, burns smallint, delay double precision, unknown boolean, whole_queue boolean,
        notes boolean, started_at timestamptz, ended_at timestamptz, ran_ms bigint, waited_ms bigint,
        result text, error text, reason text, outcome text, note text, traceback text
    )
    WHERE coalesce((SELECT fresh FROM owner), true)
),
noting AS MATERIALIZED (
    SELECT queue FROM jobs_queuestate
    WHERE queue = %(queue)s AND %(notes)s
    FOR NO KEY UPDATE SKIP LOCKED
),
locked AS MATERIALIZED (
    SELECT job.id
    FROM given
    CROSS JOIN LATERAL (
        SELECT id FROM jobs_job
        WHERE id = given.id
          AND CASE WHEN state = 'active' AND worker_id = %(worker)s THEN token = given.token ELSE false END
        FOR UPDATE SKIP LOCKED
    ) AS job
    WHERE NOT notes OR EXISTS (SELECT FROM noting)
        OR NOT EXISTS (SELECT FROM jobs_queuestate WHERE queue = %(queue)s)
),
settled AS (
    UPDATE jobs_job AS job
    SET state = CASE
            WHEN act = 'complete' THEN 'completed'
            WHEN act = 'fail' THEN 'failed'
            WHEN act = 'give_up' OR cancel_requested THEN 'cancelled'
            ELSE 'queued'
        END,
        attempts = attempts + burns,
        starts = starts + (given.started_at IS NOT NULL)::integer,
        started_at = coalesce(given.started_at, job.started_at),
        ended_at = CASE
            WHEN act IN ('complete', 'fail', 'give_up') OR cancel_requested
            THEN least(given.ended_at, (SELECT now FROM clock))
        END,
        ready_at = CASE
            WHEN act IN ('retry', 'hand_back') AND NOT cancel_requested AND delay IS NOT NULL
            THEN (SELECT now FROM clock) + delay * interval '1 second'
            ELSE ready_at
        END,
        timed_at = CASE
            WHEN act IN ('retry', 'hand_back') AND NOT cancel_requested AND delay IS NOT NULL THEN (SELECT now FROM clock)
            ELSE timed_at
        END,
        result = CASE WHEN act = 'complete' THEN given.result ELSE job.result END,
        error = CASE WHEN act = 'complete' THEN '' WHEN act IN ('retry', 'fail') THEN given.error ELSE job.error END,
        reason = CASE
            WHEN act IN ('complete', 'fail') THEN ''
            WHEN act = 'give_up' THEN coalesce(nullif(given.reason, ''), job.reason)
            WHEN cancel_requested THEN job.reason
            ELSE given.reason
        END,
        unknown_since = CASE
            WHEN act IN ('complete', 'retry') THEN NULL
            WHEN act IN ('fail', 'give_up') THEN unknown_since
            WHEN unknown THEN coalesce(unknown_since, (SELECT now FROM clock))
            WHEN given.started_at IS NOT NULL THEN NULL
            ELSE unknown_since
        END,
        worker_id = NULL
    FROM given JOIN locked USING (id)
    WHERE job.id = given.id
    RETURNING job.id, job.run, job.queue, job.state, job.attempts, job.claimed_at, job.ready_at,
        act, burns, delay, whole_queue, given.started_at, given.ended_at, ran_ms, waited_ms, outcome, note, traceback
),
attempted AS (
    INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback)
    SELECT id, run, CASE WHEN burns = 1 THEN attempts END, outcome, coalesce((SELECT label FROM owner), ''),
        claimed_at, started_at, least(ended_at, (SELECT now FROM clock)), note, traceback
    FROM settled
    WHERE started_at IS NOT NULL
),
held AS (
    INSERT INTO jobs_queuestate AS held (queue, paused, wait_until, wait_from, returns)
    SELECT queue, false, (SELECT now FROM clock) + max(delay) FILTER (WHERE whole_queue) * interval '1 second',
        (SELECT now FROM clock),
        count(*) FILTER (WHERE state = 'queued' AND ready_at < (SELECT now FROM clock) - interval '0.5 second')
    FROM settled
    -- what became ready within the slack of the bounds, a second, they do not skip: half of it is left for the commit
    WHERE whole_queue OR (state = 'queued' AND ready_at < (SELECT now FROM clock) - interval '0.5 second')
    GROUP BY queue
    ON CONFLICT (queue) DO UPDATE SET
        wait_until = greatest(held.wait_until, excluded.wait_until),
        wait_from = CASE
            WHEN excluded.wait_until > coalesce(held.wait_until, '-infinity') THEN excluded.wait_from ELSE held.wait_from
        END,
        returns = held.returns + excluded.returns
),
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
sums AS MATERIALIZED (
    SELECT date_trunc('hour', (SELECT now FROM clock), 'UTC') AS hour, sum(completed) AS completed,
        sum(failed) AS failed, sum(retried) AS retried, sum(cancelled) AS cancelled, sum(expired) AS expired,
        sum(ran_ms) AS ran_ms, sum(waited_ms) AS waited_ms
    FROM (
        SELECT (state = 'completed')::integer AS completed, (state = 'failed')::integer AS failed,
            (state = 'queued' AND act = 'retry')::integer AS retried,
            (state = 'cancelled')::integer AS cancelled, 0 AS expired, ran_ms, waited_ms
        FROM settled
        WHERE state <> 'queued' OR act = 'retry' OR started_at IS NOT NULL
        UNION ALL
        SELECT 0, 0, 0, 0, 1, 0, 0 FROM claimed WHERE state = 'expired'
    ) AS numbers
    HAVING count(*) > 0
),
counted AS (
    INSERT INTO jobs_queuestat AS stat
        (queue, hour, part, completed, failed, retried, lost, cancelled, expired, ran_ms, waited_ms)
    SELECT %(queue)s, hour, %(part)s, completed, failed, retried, 0, cancelled, expired, ran_ms, waited_ms
    FROM sums
    ON CONFLICT (queue, hour, part) DO UPDATE SET
        completed = stat.completed + excluded.completed, failed = stat.failed + excluded.failed,
        retried = stat.retried + excluded.retried, cancelled = stat.cancelled + excluded.cancelled,
        expired = stat.expired + excluded.expired, ran_ms = stat.ran_ms + excluded.ran_ms,
        waited_ms = stat.waited_ms + excluded.waited_ms
),
answer AS MATERIALIZED (
    SELECT CASE
        WHEN %(wanted)s + %(wanted_alone)s = 0 THEN NULL
        WHEN paused THEN NULL
        WHEN greatest(wait_until, until) > now THEN extract(epoch FROM greatest(wait_until, until) - now)
        WHEN NOT gate.open THEN NULL
        WHEN (SELECT count(*) FROM picked) >= %(wanted)s + %(wanted_alone)s THEN 0
        ELSE extract(epoch FROM least(
            (SELECT min(ready_at) FROM settled WHERE state = 'queued'),
            CASE WHEN %(wanted)s > 0 THEN (
                SELECT min(next.ready_at)
                FROM level
                CROSS JOIN LATERAL (
                    SELECT ready_at FROM jobs_job
                    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = level.priority
                      AND ready_at > now
                    ORDER BY ready_at
                    LIMIT 1
                ) AS next
            ) ELSE (
                SELECT min(ready_at) FROM jobs_job
                WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at > now
            ) END
        ) - now)
    END::double precision AS wait
    FROM clock, hold, gate, (
        SELECT (SELECT now FROM clock) + max(delay) * interval '1 second' AS until FROM settled WHERE whole_queue
    ) AS slowed
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
SELECT 'settled', id, NULL, state, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL
FROM settled
UNION ALL
SELECT 'moment', NULL, coalesce((SELECT fresh FROM owner), (SELECT fresh FROM worker), true)::integer, NULL, wait::text, gate.open::integer,
    hold.returns, (SELECT microseconds FROM walk), NULL, NULL, clock.now, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL
FROM clock, hold, gate, answer
