-- The live jobs that were accepted, or whose due time was counted, at a moment that is yet to come; at most so many.
SELECT count(*) FROM (
    SELECT 1
    FROM jobs_job
    WHERE state IN ('pending', 'queued')
      AND greatest(created_at, coalesce(timed_at, created_at)) > %(after)s::timestamp AT TIME ZONE 'UTC'
    LIMIT %(most)s
) AS to_come
