-- Pause a queue; a pause that holds already keeps its beginning.
INSERT INTO jobs_queuestate (queue, paused, paused_at)
VALUES (:queue, 1, :now)
ON CONFLICT (queue) DO UPDATE SET paused = 1, paused_at = excluded.paused_at
WHERE NOT paused
