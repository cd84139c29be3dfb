-- Rows of jobs that ended in this run, and of which retention keeps nothing. What ended before stays as it is,
-- and what others wait for.
DELETE FROM jobs_job
WHERE id = ANY(%(ids)s::uuid[])
  AND (run < %(run)s OR (run = %(run)s AND state = ANY(%(states)s::text[])))
  AND NOT awaited
RETURNING id
