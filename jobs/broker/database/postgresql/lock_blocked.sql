-- A blocked job that nobody else has locked, locked.
SELECT id FROM jobs_job WHERE id = %(id)s AND state = 'blocked' FOR UPDATE SKIP LOCKED
