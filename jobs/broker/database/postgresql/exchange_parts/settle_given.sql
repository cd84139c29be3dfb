-- What is settled: the jobs that this worker still holds under this token, and that nobody else has locked.
-- A row of it has all that is asked, so that it is joined with the jobs alone: two lists would be joined pair by pair.
locked AS MATERIALIZED (
    -- the worker's reading of this clock may be a little ahead, or the clock was set back: nothing began in the future
    SELECT given.*, CASE WHEN given.started_at > now THEN now ELSE given.started_at END AS began, now,
        coalesce((SELECT label FROM owner), '') AS label
    FROM clock
    CROSS JOIN json_to_recordset(%(settlements)s::json) AS given (
        id uuid, token bigint, act text, burns smallint, delay double precision, unknown boolean, whole_queue boolean,
        notes boolean, started_at timestamptz, ended_at timestamptz, ran smallint, waited smallint,
        ran_ms bigint, waited_ms bigint, result text, error text, reason text, outcome text, note text, traceback text
    )
    CROSS JOIN LATERAL (
        SELECT FROM jobs_job
        WHERE id = given.id
          AND CASE WHEN state = 'active' AND worker_id = %(worker)s THEN token = given.token ELSE false END
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS job
    WHERE coalesce((SELECT fresh FROM owner), true) AND (NOT notes OR EXISTS (SELECT FROM may_note))
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
        started_at = coalesce(given.began, job.started_at),
        ended_at = CASE
            WHEN act IN ('complete', 'fail', 'give_up') OR cancel_requested THEN least(given.ended_at, now)
        END,
        ready_at = CASE
            WHEN act IN ('retry', 'hand_back') AND NOT cancel_requested AND delay IS NOT NULL
            THEN now + delay * interval '1 second'
            ELSE ready_at
        END,
        timed_at = CASE
            WHEN act IN ('retry', 'hand_back') AND NOT cancel_requested AND delay IS NOT NULL THEN now
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
            WHEN unknown THEN coalesce(unknown_since, now)
            WHEN given.started_at IS NOT NULL THEN NULL
            ELSE unknown_since
        END,
        worker_id = NULL
    FROM locked AS given
    WHERE job.id = given.id
    RETURNING job.id, job.run, job.queue, job.task, job.state, job.attempts, job.claimed_at, job.ready_at, now, label,
        act, burns, delay, whole_queue, awaited, given.began AS started_at, given.ended_at, ran, waited, ran_ms, waited_ms, outcome, note, traceback
),
attempted AS (
    INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback)
    SELECT id, run, CASE WHEN burns = 1 THEN attempts END, outcome, label, claimed_at, started_at,
        least(ended_at, now), note, traceback
    FROM settled
    WHERE started_at IS NOT NULL
),
