-- Jobs that have ended and that others wait for, of these ids or all, at most 500.
SELECT id, state, reason
FROM jobs_job INDEXED BY jobs_awaited
WHERE awaited AND state IN ('completed', 'failed', 'cancelled', 'expired')
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
ORDER BY id
LIMIT 500
