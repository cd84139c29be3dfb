-- Rows that facts of a broker outside the database made, as JSON. Those that came there meanwhile are the outbox's.
INSERT INTO jobs_job (
    id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at, started_at, ended_at,
    attempts, starts, lost, alone, token, cancel_requested, result, error, reason,
    event, event_id, about_type, about_id, parent_id, timed_at, scope, "group", tags, lane
)
SELECT
    id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at, started_at, ended_at,
    attempts, starts, lost, false, token, false, result, error, reason,
    event, event_id, about_type, about_id, parent_id, timed_at, scope, "group", tags, lane
FROM json_to_recordset(%(rows)s::json) AS given (
    id uuid, run smallint, queue text, task text, state text, priority smallint, message text, key text,
    created_at timestamptz, ready_at timestamptz, expires_at timestamptz, started_at timestamptz, ended_at timestamptz,
    attempts smallint, starts integer, lost smallint, token bigint, result text, error text, reason text,
    event text, event_id uuid, about_type text, about_id text, parent_id uuid, timed_at timestamptz,
    scope text, "group" text, tags text, lane text
)
ON CONFLICT (id) DO UPDATE SET
    run = excluded.run, state = excluded.state, ready_at = excluded.ready_at, expires_at = excluded.expires_at,
    started_at = excluded.started_at, ended_at = excluded.ended_at, attempts = excluded.attempts,
    starts = excluded.starts, lost = excluded.lost, token = excluded.token,
    result = excluded.result, error = excluded.error, reason = excluded.reason
