-- Who is in line for a key: the live job that holds it, and the one of the outbox that waits behind.
SELECT id, state
FROM jobs_job
WHERE queue = %(queue)s AND key = %(key)s AND key IS NOT NULL
  AND (state IN ('queued', 'active') OR (state = 'pending' AND rule = 'behind'))
