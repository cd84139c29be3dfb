-- The paused tags of a queue, which nobody else changes until the end of this transaction.
INSERT INTO jobs_queuestate AS held (queue, paused)
VALUES (%(queue)s, false)
ON CONFLICT (queue) DO UPDATE SET paused = held.paused
RETURNING paused_tags
