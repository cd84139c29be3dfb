-- The first job of a sequence that lives.
SELECT id, state
FROM jobs_job
WHERE queue = %(queue)s AND sequence = %(sequence)s AND sequence > '' AND ended_at IS NULL AND place IS NOT NULL
ORDER BY place
LIMIT 1
