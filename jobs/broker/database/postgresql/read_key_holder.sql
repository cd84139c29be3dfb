-- The live job that holds a key.
SELECT id
FROM jobs_job
WHERE queue = %(queue)s AND key = %(key)s AND key IS NOT NULL AND state IN ('queued', 'active')
