-- The causes of dead letters behind one, by a look-up each, with the end of the last of each.
WITH RECURSIVE found (cause, number) AS (
    SELECT (
        SELECT cause FROM jobs_job WHERE state = 'failed' AND cause > :after ORDER BY cause LIMIT 1
    ), 1
    UNION ALL
    SELECT (
        SELECT job.cause FROM jobs_job AS job
        WHERE job.state = 'failed' AND job.cause > found.cause
        ORDER BY job.cause
        LIMIT 1
    ), number + 1
    FROM found
    WHERE cause IS NOT NULL AND number < :most
)
SELECT cause, (
    SELECT job.ended_at FROM jobs_job AS job
    WHERE job.state = 'failed' AND job.cause = found.cause
    ORDER BY job.ended_at DESC, job.id DESC
    LIMIT 1
) AS last_at
FROM found
WHERE cause IS NOT NULL
