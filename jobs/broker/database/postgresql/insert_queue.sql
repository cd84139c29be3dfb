-- A queue's row, where it has none yet.
INSERT INTO jobs_queuestate (queue, paused)
VALUES (%(queue)s, false)
ON CONFLICT (queue) DO NOTHING
