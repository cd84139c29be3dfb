-- The first due jobs without a lane of one priority.
SELECT id, lane, ready_at, tags
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = %(priority)s AND ready_at <= %(now)s
ORDER BY ready_at, id
LIMIT %(most)s
