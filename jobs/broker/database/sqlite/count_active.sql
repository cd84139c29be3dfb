-- The active jobs of a queue, over all workers; at most so many are counted.
SELECT count(*) FROM (
    SELECT 1
    FROM jobs_job INDEXED BY jobs_queue_state
    WHERE queue = :queue AND state = 'active'
    LIMIT :most
)
