-- The first job of a sequence that lives.
SELECT id, state
FROM jobs_job INDEXED BY jobs_sequence
WHERE queue = :queue AND sequence = :sequence AND sequence > '' AND ended_at IS NULL AND place IS NOT NULL
ORDER BY place
LIMIT 1
