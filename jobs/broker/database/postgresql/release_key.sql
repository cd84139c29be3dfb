-- A live job gives its key away.
UPDATE jobs_job
SET key = NULL
WHERE id = %(id)s AND queue = %(queue)s AND key = %(key)s AND state IN ('queued', 'active')
RETURNING id
