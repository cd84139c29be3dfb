-- Settle and claim in one statement and one snapshot: what is settled here cannot be claimed here.
--
-- settlements: JSON, one object each, ordered by job id so that row locks are taken in that order; `act` is one of
-- complete, retry, fail, give_up, hand_back. since: for each priority 1 to 10, where its due jobs begin (dead
-- rows before that are not walked over), while nothing came back to its place since the queue's count of `returns`
-- was read: see postgresql_lane; expiring_since: the same for the moments at which jobs expire. wanted, wanted_alone,
-- most_expired: at most so many of the usual, of the lone, and of the expiring jobs.
-- States are written out, because a generic plan uses the partial indexes only then; a CASE hides the conditions of a
-- settle from the planner, which shall go by the primary key and not look for the few rows that they fit.
--
-- Answers with three kinds of rows: 'settled' (job's id, state reached as task, ready_at), 'claimed' (the job), and one
-- 'moment' (now as ready_at, end of a whole-queue wait as expires_at, next due time as unknown_since, whether a claim
-- was possible as run, returns as token, the microseconds of the walk to the jobs as attempts, how
-- many of them had expired as starts).
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
worker AS MATERIALIZED (
    SELECT host || ':' || pid AS label, lease_until > (SELECT now FROM clock) AS lasts
    FROM jobs_worker WHERE id = %(worker)s
),
given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(settlements)s::json) AS given (
        id uuid, token bigint, act text, burns smallint, delay double precision, unknown boolean, whole_queue boolean,
        started_at timestamptz, ended_at timestamptz, ran_ms bigint, waited_ms bigint,
        result text, error text, reason text, outcome text, note text, traceback text
    )
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
    FROM given
    WHERE job.id = given.id AND CASE
        WHEN job.state = 'active' AND job.worker_id = %(worker)s THEN job.token = given.token
        ELSE false
    END
    RETURNING job.id, job.run, job.queue, job.state, job.attempts, job.claimed_at, job.ready_at,
        act, burns, delay, whole_queue, given.started_at, given.ended_at, ran_ms, waited_ms, outcome, note, traceback
),
attempted AS (
    INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback)
    SELECT id, run, CASE WHEN burns = 1 THEN attempts END, outcome, coalesce((SELECT label FROM worker), ''),
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
hold AS MATERIALIZED (
    SELECT
        coalesce((SELECT paused FROM jobs_queuestate WHERE queue = %(queue)s), false) AS paused,
        greatest(
            (SELECT wait_until FROM jobs_queuestate WHERE queue = %(queue)s),
            (SELECT now FROM clock) + (SELECT max(delay) FROM settled WHERE whole_queue) * interval '1 second'
        ) AS wait_until,
        coalesce((SELECT returns FROM jobs_queuestate WHERE queue = %(queue)s), 0) AS returns
),
gate AS MATERIALIZED (
    SELECT coalesce((SELECT lasts FROM worker), false)
        AND NOT paused AND coalesce(wait_until <= (SELECT now FROM clock), true) AS open,
        clock_timestamp() AS passed_at
    FROM hold
),
too_late AS MATERIALIZED (
    SELECT id FROM jobs_job
    WHERE (SELECT open FROM gate) AND expires_at IS NOT NULL AND state IN ('pending', 'queued')
      AND expires_at >= CASE
          WHEN (SELECT returns FROM hold) = %(returns)s THEN %(expiring_since)s::timestamptz ELSE '-infinity'
      END
      AND expires_at <= (SELECT now FROM clock) AND state = 'queued'
    ORDER BY expires_at
    LIMIT %(most_expired)s
    FOR UPDATE SKIP LOCKED
),
pick AS MATERIALIZED (
    SELECT ready.id
    FROM unnest(%(since)s::timestamptz[]) WITH ORDINALITY AS lane (since, priority)
    CROSS JOIN LATERAL (
        SELECT id FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = lane.priority
          AND ready_at >= CASE WHEN (SELECT returns FROM hold) = %(returns)s THEN lane.since ELSE '-infinity' END
          AND ready_at <= (SELECT now FROM clock)
          AND (expires_at IS NULL OR expires_at > (SELECT now FROM clock))
        ORDER BY ready_at, id
        LIMIT %(wanted)s
        FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE (SELECT open FROM gate)
    LIMIT %(wanted)s
),
walk AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp() - (SELECT passed_at FROM gate)) * 1000000)::integer AS microseconds
    FROM (SELECT count(*) FROM pick) AS the_whole_pick, (SELECT count(*) FROM too_late) AS and_these
),
expired AS (
    UPDATE jobs_job
    SET state = 'expired', ended_at = (SELECT now FROM clock)
    FROM too_late
    -- the walks end before the first update, or they would be measured with it
    WHERE jobs_job.id = too_late.id AND (SELECT microseconds FROM walk) IS NOT NULL
    RETURNING queue
),
pick_alone AS MATERIALIZED (
    SELECT id FROM jobs_job
    WHERE (SELECT open FROM gate) AND queue = %(queue)s AND state = 'queued' AND alone
      AND ready_at <= (SELECT now FROM clock) AND (expires_at IS NULL OR expires_at > (SELECT now FROM clock))
    ORDER BY priority, ready_at, id
    LIMIT %(wanted_alone)s
    FOR UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE jobs_job AS job
    SET state = 'active', token = token + 1, worker_id = %(worker)s, claimed_at = (SELECT now FROM clock)
    FROM (SELECT id FROM pick UNION ALL SELECT id FROM pick_alone) AS chosen
    WHERE job.id = chosen.id AND (SELECT microseconds FROM walk) IS NOT NULL
    RETURNING job.id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at,
        unknown_since, event, event_id, about_type, about_id
),
counted AS (
    INSERT INTO jobs_queuestat AS stat
        (queue, hour, part, completed, failed, retried, lost, cancelled, expired, ran_ms, waited_ms)
    SELECT queue, date_trunc('hour', (SELECT now FROM clock), 'UTC'), %(part)s, sum(completed), sum(failed),
        sum(retried), 0, sum(cancelled), sum(expired), sum(ran_ms), sum(waited_ms)
    FROM (
        SELECT queue,
            (state = 'completed')::integer AS completed, (state = 'failed')::integer AS failed,
            (state = 'queued' AND act = 'retry')::integer AS retried,
            (state = 'cancelled')::integer AS cancelled, 0 AS expired, ran_ms, waited_ms
        FROM settled
        WHERE state <> 'queued' OR act = 'retry' OR started_at IS NOT NULL
        UNION ALL
        SELECT queue, 0, 0, 0, 0, 1, 0, 0 FROM expired
    ) AS numbers
    GROUP BY queue
    ORDER BY queue
    ON CONFLICT (queue, hour, part) DO UPDATE SET
        completed = stat.completed + excluded.completed,
        failed = stat.failed + excluded.failed,
        retried = stat.retried + excluded.retried,
        cancelled = stat.cancelled + excluded.cancelled,
        expired = stat.expired + excluded.expired,
        ran_ms = stat.ran_ms + excluded.ran_ms,
        waited_ms = stat.waited_ms + excluded.waited_ms
)
SELECT 'claimed' AS kind, id, run::integer, task, message, priority::integer, token, attempts::integer, starts,
    lost::integer, ready_at, key, expires_at, unknown_since, event, event_id, about_type, about_id
FROM claimed
UNION ALL
SELECT 'settled', id, NULL, state, NULL, NULL, NULL, NULL, NULL, NULL, ready_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM settled
UNION ALL
SELECT 'moment', NULL, gate.open::integer, NULL, NULL, NULL, hold.returns,
    (SELECT microseconds FROM walk), (SELECT count(*) FROM too_late), NULL, clock.now, NULL, hold.wait_until,
    CASE
        WHEN %(wanted)s > 0 AND gate.open AND (SELECT count(*) FROM claimed) < %(wanted)s THEN (
            SELECT min(next.ready_at)
            FROM generate_series(1, 10) AS lane (priority)
            CROSS JOIN LATERAL (
                SELECT ready_at FROM jobs_job
                WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND priority = lane.priority
                  AND ready_at > clock.now
                ORDER BY ready_at
                LIMIT 1
            ) AS next
        )
        WHEN %(wanted_alone)s > 0 AND gate.open AND (SELECT count(*) FROM claimed) < %(wanted_alone)s THEN (
            SELECT min(ready_at) FROM jobs_job
            WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at > clock.now
        )
    END,
    NULL, NULL, NULL, NULL
FROM clock, hold, gate
