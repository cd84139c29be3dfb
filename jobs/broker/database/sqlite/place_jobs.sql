-- Gives the jobs of a sequence that have no place yet theirs, behind all others, in the order in which they were written.
WITH last AS MATERIALIZED (
    SELECT max(place) AS place
    FROM jobs_job INDEXED BY jobs_sequence
    WHERE queue = :queue AND sequence = :sequence AND sequence > '' AND ended_at IS NULL
), new AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY rowid) + coalesce((SELECT place FROM last), 0) AS place
    FROM jobs_job INDEXED BY jobs_unplaced
    WHERE queue = :queue AND sequence = :sequence AND sequence > '' AND state = 'blocked' AND place IS NULL
)
UPDATE jobs_job
SET place = new.place
FROM new
WHERE jobs_job.id = new.id
