-- The live jobs that were accepted, or whose due time was counted, at a moment that is yet to come. In the index's words.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() + interval '1 second' AS after)
SELECT queue, id, created_at, timed_at, ready_at, expires_at
FROM jobs_job
WHERE state IN ('pending', 'queued')
  AND greatest(created_at, coalesce(timed_at, created_at)) > (SELECT after FROM clock)
ORDER BY greatest(created_at, coalesce(timed_at, created_at))
LIMIT %(most)s
FOR UPDATE SKIP LOCKED
