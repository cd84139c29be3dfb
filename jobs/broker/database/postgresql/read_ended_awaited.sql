-- Jobs that have ended and that others wait for, of these ids or all, at most 500; not those that somebody has locked.
SELECT id, state, reason, queue, sequence
FROM jobs_job
WHERE awaited AND state IN ('completed', 'failed', 'cancelled', 'expired')
  AND (%(ids)s::text IS NULL OR id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json))))
LIMIT 500
FOR UPDATE SKIP LOCKED
