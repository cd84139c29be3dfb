-- The first due jobs of one lane, and how long their arguments are.
SELECT id, lane, ready_at, tags, length(message)
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s AND lane = %(lane)s
  AND ready_at <= %(now)s AND (expires_at IS NULL OR expires_at > %(now)s)
ORDER BY ready_at, id
LIMIT %(most)s
