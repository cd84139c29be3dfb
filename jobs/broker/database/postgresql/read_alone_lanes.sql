-- The lanes of the jobs that must run alone, and when each is due. There are few of these.
SELECT lane, ready_at
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND alone AND lane <> ''
