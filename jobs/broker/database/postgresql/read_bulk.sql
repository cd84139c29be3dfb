-- The first due jobs of one lane, and how many bytes their arguments are: to count letters it would read long ones whole.
SELECT id, lane, ready_at, tags, octet_length(message)
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s AND lane = %(lane)s
  AND ready_at <= %(now)s AND (expires_at IS NULL OR expires_at > %(now)s)
ORDER BY ready_at, id
LIMIT %(most)s
