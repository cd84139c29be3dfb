-- A job that waits takes over what another call for its key says; its id and its counters stay.
UPDATE jobs_job
SET task = :task, message = :message, priority = :priority,
    expires_at = :expires_at,
    ready_at = CASE :mode WHEN 'debounce' THEN :quiet_at WHEN 'replace' THEN :ready_at ELSE ready_at END,
    timed_at = CASE :mode WHEN 'debounce' THEN :now WHEN 'replace' THEN :timed_at ELSE timed_at END,
    event = :event, event_id = :event_id, about_type = :about_type, about_id = :about_id,
    parent_id = :parent_id, scope = :scope, "group" = :group, tags = :tags, lane = :lane
WHERE id = :into AND (state = 'queued' OR (state = 'pending' AND rule = 'behind'))
RETURNING id
