-- Jobs that have ended and that others wait for, of these ids or all, at most 500.
-- `awaited` stands twice: Django 5.2 writes the index's condition as awaited, 6.1 as awaited = 1.
SELECT id, state, reason, queue, sequence
FROM jobs_job INDEXED BY jobs_awaited
WHERE awaited AND awaited = 1 AND state IN ('completed', 'failed', 'cancelled', 'expired')
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
ORDER BY id
LIMIT 500
