-- The lanes of the due jobs that must run alone and stand before a place, the first ones. There are few of these.
SELECT lane
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND alone AND ready_at <= %(now)s
  AND (-priority, ready_at, id) < (-%(priority)s::int, %(ready_at)s::timestamptz, %(id)s::uuid)
  AND (expires_at IS NULL OR expires_at > %(now)s)
ORDER BY priority DESC, ready_at, id
LIMIT %(most)s
