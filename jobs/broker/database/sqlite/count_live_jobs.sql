-- A queue's live jobs; each number stops at 10,000. Walked by priority, so that far jobs cost the near ones nothing.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
WITH RECURSIVE priorities (priority) AS (
    SELECT max(priority) FROM jobs_job INDEXED BY jobs_ready
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND lane = ''
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job INDEXED BY jobs_ready
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND job.lane = ''
          AND job.priority < priorities.priority
    )
    FROM priorities
    WHERE priorities.priority IS NOT NULL
),
laned (priority) AS (
    SELECT max(priority) FROM jobs_job INDEXED BY jobs_ready_laned
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND NOT (lane = '')
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job INDEXED BY jobs_ready_laned
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND NOT (job.lane = '')
          AND job.priority < laned.priority
    )
    FROM laned
    WHERE laned.priority IS NOT NULL
)
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM priorities CROSS JOIN jobs_job AS job INDEXED BY jobs_ready
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND job.lane = ''
          AND job.priority = priorities.priority AND job.ready_at <= :now
        LIMIT 10000))
    + (SELECT count(*) FROM (
        SELECT 1 FROM laned CROSS JOIN jobs_job AS job INDEXED BY jobs_ready_laned
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND NOT (job.lane = '')
          AND job.priority = laned.priority AND job.ready_at <= :now
        LIMIT 10000))
    + (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_ready_alone
        WHERE queue = :queue AND state = 'queued' AND alone AND alone = 1 AND ready_at <= :now
        LIMIT 10000)),
    (SELECT count(*) FROM (
        SELECT 1 FROM priorities CROSS JOIN jobs_job AS job INDEXED BY jobs_ready
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND job.lane = ''
          AND job.priority = priorities.priority AND job.ready_at > :now
        LIMIT 10000))
    + (SELECT count(*) FROM (
        SELECT 1 FROM laned CROSS JOIN jobs_job AS job INDEXED BY jobs_ready_laned
        WHERE job.queue = :queue AND job.state = 'queued' AND NOT job.alone AND job.alone = 0 AND NOT (job.lane = '')
          AND job.priority = laned.priority AND job.ready_at > :now
        LIMIT 10000))
    + (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job INDEXED BY jobs_ready_alone
        WHERE queue = :queue AND state = 'queued' AND alone AND alone = 1 AND ready_at > :now
        LIMIT 10000)),
    (SELECT count(*) FROM (SELECT 1 FROM jobs_job INDEXED BY jobs_queue_state WHERE queue = :queue AND state = 'active' LIMIT 10000))
