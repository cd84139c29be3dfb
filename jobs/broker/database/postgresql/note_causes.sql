-- What dead letters are grouped by, as JSON; nothing of one that is none any more, or that somebody holds locked.
WITH free AS MATERIALIZED (
    SELECT given.id, cause, release
    FROM json_to_recordset(%(rows)s::json) AS given (id uuid, run smallint, cause text, release text)
    CROSS JOIN LATERAL (
        SELECT FROM jobs_job
        WHERE id = given.id AND CASE WHEN state = 'failed' THEN run = given.run ELSE false END
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS job
)
UPDATE jobs_job AS job SET cause = free.cause, release = free.release
FROM free
WHERE job.id = free.id
