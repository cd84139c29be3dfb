-- What holds for the whole queue; one that another broker keeps stands still here. `laned`: jobs with a lane wait here.
SELECT coalesce(held.paused OR held.elsewhere, 0), held.wait_until, held.taken, held.rate_limit, held.rate_per,
    held.concurrency, held.global_concurrency, coalesce(held.turns, ''), coalesce(held.paused_tags, ''),
    EXISTS (
        SELECT 1 FROM jobs_job INDEXED BY jobs_ready_laned
        WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '')
    ) OR EXISTS (
        SELECT 1 FROM jobs_job INDEXED BY jobs_ready_alone
        WHERE queue = :queue AND state = 'queued' AND alone AND alone = 1 AND NOT (lane = '')
    ) AS laned,
    EXISTS (SELECT 1 FROM jobs_groupstate WHERE queue = :queue) AS has_groups
FROM (SELECT 1) AS one
LEFT JOIN jobs_queuestate AS held ON held.queue = :queue
