-- Lets a batch not end before this transaction does; nothing, if it has ended or is cancelled.
UPDATE jobs_batch
SET cancelled = false
WHERE id = :id AND ended_at IS NULL AND NOT cancelled
RETURNING id
