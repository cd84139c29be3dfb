-- Gives the jobs of a sequence that have no place yet theirs, behind all others, in the order in which they were written.
WITH unplaced AS MATERIALIZED (
    SELECT id, created_at
    FROM jobs_job
    WHERE queue = %(queue)s AND sequence = %(sequence)s AND sequence > '' AND state = 'blocked' AND place IS NULL
    FOR UPDATE
), last AS MATERIALIZED (
    SELECT max(place) AS place
    FROM jobs_job
    WHERE queue = %(queue)s AND sequence = %(sequence)s AND sequence > '' AND ended_at IS NULL
), new AS MATERIALIZED (
    SELECT unplaced.id, row_number() OVER (ORDER BY created_at, unplaced.id) + coalesce(last.place, 0) AS place
    FROM unplaced CROSS JOIN last
)
UPDATE jobs_job
SET place = new.place
FROM new
WHERE jobs_job.id = new.id
