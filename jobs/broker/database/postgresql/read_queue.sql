-- What holds for the whole queue; one that another broker keeps stands still here. `laned`: jobs with a lane wait here.
SELECT coalesce(held.paused OR held.elsewhere, false), held.wait_until, held.taken, held.rate_limit, held.rate_per,
    held.concurrency, held.global_concurrency, coalesce(held.turns, ''), coalesce(held.paused_tags, ''),
    (
        SELECT max(priority) FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> ''
    ) IS NOT NULL
    OR (
        SELECT min(ready_at) FROM jobs_job WHERE queue = %(queue)s AND state = 'queued' AND alone AND lane <> ''
    ) IS NOT NULL AS laned,
    EXISTS (SELECT FROM jobs_groupstate WHERE queue = %(queue)s) AS has_groups
FROM (SELECT) AS one
LEFT JOIN jobs_queuestate AS held ON held.queue = %(queue)s
