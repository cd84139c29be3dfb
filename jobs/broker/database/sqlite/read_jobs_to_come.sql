-- The live jobs that were accepted, or whose due time was counted, at a moment that is yet to come. In the index's words.
SELECT queue, id, created_at, timed_at, ready_at, expires_at
FROM jobs_job INDEXED BY jobs_timed
WHERE state IN ('pending', 'queued') AND max(created_at, coalesce(timed_at, created_at)) > :after
ORDER BY max(created_at, coalesce(timed_at, created_at))
LIMIT :most
