-- Jobs that ended in this run and of which nothing is kept, where others wait for them and have not been told.
UPDATE jobs_job
SET state = %(state)s, ended_at = %(ended_at)s, reason = %(reason)s
WHERE awaited AND run = %(run)s AND state IN ('pending', 'queued', 'active')
  AND id = ANY(%(ids)s::uuid[])
