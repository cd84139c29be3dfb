-- active -> queued: the jobs of a process that died; after too many losses a dead letter; cancelled, if that was asked.
UPDATE jobs_job INDEXED BY jobs_active_worker
SET state = CASE WHEN cancel_requested THEN 'cancelled' WHEN lost + 1 >= :dead_after THEN 'failed' ELSE 'queued' END,
    ended_at = CASE WHEN cancel_requested OR lost + 1 >= :dead_after THEN :now END,
    error = CASE
        WHEN NOT cancel_requested AND lost + 1 >= :dead_after
        THEN 'killed its worker: lost ' || (lost + 1) || ' times'
        ELSE error
    END,
    alone = lost + 1 >= :alone_after,
    lost = lost + 1, starts = starts + 1, worker_id = NULL
WHERE state = 'active' AND worker_id = :worker
RETURNING id, run, queue, state, claimed_at, task
