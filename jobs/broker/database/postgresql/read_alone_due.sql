-- The first due jobs that must run alone. There are few of these.
SELECT id, lane, ready_at, tags
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at <= %(now)s
ORDER BY priority DESC, ready_at, id
LIMIT %(most)s
