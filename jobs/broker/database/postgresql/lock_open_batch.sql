-- Lets a batch not end before this transaction does; nothing, if it has ended or is cancelled.
SELECT id
FROM jobs_batch
WHERE id = %(id)s AND ended_at IS NULL AND NOT cancelled
FOR SHARE
