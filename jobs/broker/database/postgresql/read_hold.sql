-- Whether a job is active under a token.
SELECT 1
FROM jobs_job
WHERE id = %(id)s AND queue = %(queue)s AND token = %(token)s AND state = 'active'
