-- Change a job that waits; it keeps its ready time unless that is to change. Answers whether it is due soon.
UPDATE jobs_job
SET ready_at = coalesce(:ready_at, ready_at),
    timed_at = CASE WHEN :ready_at IS NULL THEN timed_at ELSE :timed_at END,
    priority = coalesce(:priority, priority),
    message = coalesce(:message, message)
WHERE id = :id AND queue = :queue AND state IN ('blocked', 'queued', 'pending') AND (:was IS NULL OR message = :was)
RETURNING ready_at <= :soon
