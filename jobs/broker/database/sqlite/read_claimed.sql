-- What a process claimed in its last exchange and still holds.
SELECT id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at, unknown_since,
    event, event_id, about_type, about_id, scope, "group", tags
FROM jobs_job INDEXED BY jobs_active_worker
WHERE state = 'active' AND worker_id = :worker AND claimed_at = :exchanged_at
