-- The paused tags of a queue, which nobody else changes until the end of this transaction.
INSERT INTO jobs_queuestate (queue, paused)
VALUES (:queue, 0)
ON CONFLICT (queue) DO UPDATE SET paused = jobs_queuestate.paused
RETURNING paused_tags
