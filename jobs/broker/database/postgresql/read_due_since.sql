-- The lanes of the jobs of one priority that have become due since a moment.
SELECT lane
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
  AND ready_at > %(since)s AND ready_at <= %(now)s
ORDER BY ready_at
LIMIT %(most)s
