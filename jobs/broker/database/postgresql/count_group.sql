-- How many due jobs of a group wait, over all its lanes; stops at a number. A few steps into two indexes for each
-- priority in use, and then one for each job.
WITH RECURSIVE laned (priority) AS (
    SELECT max(priority) FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> ''
    UNION ALL
    SELECT (
        SELECT max(job.priority) FROM jobs_job AS job
        WHERE job.queue = %(queue)s AND job.state = 'queued' AND NOT job.alone AND job.lane <> ''
          AND job.priority < laned.priority
    )
    FROM laned
    WHERE laned.priority IS NOT NULL
),
places (priority, lane) AS (
    SELECT priority, (
        SELECT min(lane) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = laned.priority
          AND lane >= %(group)s AND lane < %(behind)s
    )
    FROM laned
    WHERE priority IS NOT NULL
    UNION ALL
    SELECT priority, (
        SELECT min(lane) FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = places.priority
          AND lane > places.lane AND lane < %(behind)s
    )
    FROM places
    WHERE lane IS NOT NULL
)
SELECT count(*) FROM (
    SELECT 1
    FROM places
    JOIN jobs_job ON jobs_job.priority = places.priority AND jobs_job.lane = places.lane
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND jobs_job.lane <> '' AND jobs_job.ready_at <= %(now)s
    LIMIT %(most)s
) AS waiting
