-- A queue's live jobs, every one of them: takes longer the more there are.
SELECT
    count(*) FILTER (WHERE state = 'queued' AND ready_at <= :now),
    count(*) FILTER (WHERE state = 'queued' AND ready_at > :now),
    count(*) FILTER (WHERE state = 'active')
FROM jobs_job
WHERE queue = :queue AND state IN ('queued', 'active')
