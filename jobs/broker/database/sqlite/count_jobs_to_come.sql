-- The live jobs that were accepted, or whose due time was counted, at a moment that is yet to come; at most so many.
SELECT count(*) FROM (
    SELECT 1
    FROM jobs_job INDEXED BY jobs_timed
    WHERE state IN ('pending', 'queued') AND max(created_at, coalesce(timed_at, created_at)) > :after
    LIMIT :most
)
