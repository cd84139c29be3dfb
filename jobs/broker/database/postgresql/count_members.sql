-- The jobs of a batch by state: as kept with the batch, of those that live, also again, as their rows say. Only these are
-- looked up, and between the first and the last of them, as the join would read all jobs.
WITH living AS (
    SELECT job_id, state
    FROM jobs_member
    WHERE batch_id = %(id)s AND role = '' AND state IN ('', 'failed')
)
SELECT shown, sum(number)
FROM (
    SELECT state AS shown, count(*) AS number
    FROM jobs_member
    WHERE batch_id = %(id)s AND role = '' AND state NOT IN ('', 'failed')
    GROUP BY state
    UNION ALL
    SELECT CASE
        WHEN living.state = '' THEN coalesce(job.state, 'cancelled')
        WHEN job.state IN ('blocked', 'pending', 'queued', 'active', 'completed') THEN job.state
        ELSE living.state
    END, count(*)
    FROM living
    LEFT JOIN jobs_job AS job ON job.id = living.job_id
        AND job.id >= (SELECT job_id FROM living ORDER BY job_id LIMIT 1)
        AND job.id <= (SELECT job_id FROM living ORDER BY job_id DESC LIMIT 1)
    GROUP BY 1
) AS parts
GROUP BY shown
