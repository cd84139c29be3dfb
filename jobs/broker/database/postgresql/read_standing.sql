-- A queued job, and what holds for its queue.
SELECT job.priority, job.ready_at, job.expires_at, job.lane, job.alone, job.tags, coalesce(held.paused_tags, ''),
    coalesce(held.elsewhere, false), coalesce(held.paused, false), held.wait_until, held.taken,
    held.rate_limit, held.rate_per, held.concurrency, held.global_concurrency, coalesce(held.turns, ''),
    EXISTS (SELECT FROM jobs_groupstate WHERE queue = %(queue)s) AS has_groups,
    job.alone AND EXISTS (
        SELECT FROM jobs_job AS running
        WHERE running.queue = %(queue)s AND running.state = 'active' AND running.alone
    ) AS alone_runs
FROM jobs_job AS job
LEFT JOIN jobs_queuestate AS held ON held.queue = %(queue)s
WHERE job.id = %(id)s::uuid AND job.queue = %(queue)s AND job.state = 'queued'
