-- Inserts any number of new jobs, which come as JSON. The clock is read once: they are due in the order of their ids.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO jobs_job (
    id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at,
    attempts, starts, lost, alone, token, cancel_requested, error, reason,
    event, event_id, about_type, about_id, parent_id, timed_at, scope, "group", tags, rule, lane
)
SELECT
    job.id, job.run, job.queue, job.task, %(state)s, job.priority, job.message, job.key, clock.now,
    CASE
        WHEN job.ready_at IS NOT NULL THEN job.ready_at
        WHEN job.at IS NOT NULL THEN greatest(job.at, clock.now)
        ELSE clock.now + job.delay * interval '1 second'
    END,
    coalesce(job.expires_at, clock.now + job.expires_in * interval '1 second'),
    0, 0, 0, false, 0, false, '', '',
    job.event, job.event_id, job.about_type, job.about_id, job.parent_id,
    CASE WHEN job.at > clock.now THEN NULL ELSE clock.now END, job.scope, job."group", job.tags, job.rule, job.lane
FROM clock, json_to_recordset(%(jobs)s::json) AS job (
    id uuid, run smallint, queue text, task text, priority smallint, message text, key text,
    delay double precision, at timestamptz, ready_at timestamptz, expires_in double precision, expires_at timestamptz,
    event text, event_id uuid, about_type text, about_id text, parent_id uuid, scope text, "group" text, tags text,
    rule text, lane text
)
RETURNING id, ready_at
