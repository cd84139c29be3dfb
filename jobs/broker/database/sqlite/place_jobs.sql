-- Gives the jobs of a sequence that have no place yet theirs, behind all others, in the order in which they were written.
UPDATE jobs_job
SET place = new.place
FROM (
    SELECT id, row_number() OVER (ORDER BY rowid) + coalesce((
        SELECT max(place) FROM jobs_job INDEXED BY jobs_sequence
        WHERE queue = :queue AND sequence = :sequence AND sequence > '' AND state IN ('blocked', 'pending', 'queued', 'active')
    ), 0) AS place
    FROM jobs_job INDEXED BY jobs_unplaced
    WHERE queue = :queue AND sequence = :sequence AND sequence > '' AND state = 'blocked' AND place IS NULL
) AS new
WHERE jobs_job.id = new.id
