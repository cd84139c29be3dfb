-- One row that facts of a broker outside the database made. One that came there meanwhile is the outbox's.
INSERT INTO jobs_job (
    id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at, started_at, ended_at,
    attempts, starts, lost, alone, token, cancel_requested, result, error, reason,
    event, event_id, about_type, about_id, parent_id, timed_at, scope, "group", tags, lane
) VALUES (
    :id, :run, :queue, :task, :state, :priority, :message, :key, :created_at, :ready_at, :expires_at, :started_at, :ended_at,
    :attempts, :starts, :lost, 0, :token, 0, :result, :error, :reason,
    :event, :event_id, :about_type, :about_id, :parent_id, :timed_at, :scope, :group, :tags, :lane
)
ON CONFLICT (id) DO UPDATE SET
    run = excluded.run, state = excluded.state, ready_at = excluded.ready_at, expires_at = excluded.expires_at,
    started_at = excluded.started_at, ended_at = excluded.ended_at, attempts = excluded.attempts,
    starts = excluded.starts, lost = excluded.lost, token = excluded.token,
    result = excluded.result, error = excluded.error, reason = excluded.reason
