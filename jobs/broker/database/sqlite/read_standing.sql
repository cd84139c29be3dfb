-- A queued job, and what holds for its queue.
SELECT job.priority, job.ready_at, job.expires_at, job.lane, job.alone, job.tags, coalesce(held.paused_tags, ''),
    coalesce(held.elsewhere, 0), coalesce(held.paused, 0), held.wait_until, held.taken,
    held.rate_limit, held.rate_per, held.concurrency, held.global_concurrency, coalesce(held.turns, ''),
    EXISTS (SELECT 1 FROM jobs_groupstate WHERE queue = :queue) AS has_groups,
    job.alone AND EXISTS (
        SELECT 1 FROM jobs_job AS running INDEXED BY jobs_queue_state
        WHERE running.queue = :queue AND running.state = 'active' AND running.alone
    ) AS alone_runs
FROM jobs_job AS job
LEFT JOIN jobs_queuestate AS held ON held.queue = :queue
WHERE job.id = :id AND job.queue = :queue AND job.state = 'queued'
