-- What people, or another call for its key, have changed of a job whose row was there, beside its due time.
UPDATE jobs_job
SET task = :task, priority = :priority, message = :message, key = :key, timed_at = :timed_at, event = :event,
    event_id = :event_id, about_type = :about_type, about_id = :about_id, parent_id = :parent_id, scope = :scope,
    "group" = :group, tags = :tags, lane = :lane
WHERE id = :id
