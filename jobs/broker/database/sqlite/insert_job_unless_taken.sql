-- Inserts one new job, unless its id or its key is taken.
INSERT INTO jobs_job (
    id, run, queue, task, state, priority, message, key, created_at, ready_at, expires_at,
    attempts, starts, lost, alone, token, cancel_requested, error, reason,
    event, event_id, about_type, about_id, parent_id, timed_at, scope, "group", tags, lane
) VALUES (
    :id, :run, :queue, :task, :state, :priority, :message, :key, :now, :ready_at, :expires_at,
    0, 0, 0, 0, 0, 0, '', '',
    :event, :event_id, :about_type, :about_id, :parent_id, :timed_at, :scope, :group, :tags, :lane
)
ON CONFLICT DO NOTHING
