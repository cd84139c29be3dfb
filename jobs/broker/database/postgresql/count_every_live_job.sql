-- A queue's live jobs, every one of them: takes longer the more there are.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT
    count(*) FILTER (WHERE state = 'queued' AND ready_at <= (SELECT now FROM clock)),
    count(*) FILTER (WHERE state = 'queued' AND ready_at > (SELECT now FROM clock)),
    count(*) FILTER (WHERE state = 'active')
FROM jobs_job
WHERE queue = %(queue)s AND state IN ('queued', 'active')
