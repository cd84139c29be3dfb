-- Pause a queue; a pause that holds already keeps its beginning.
INSERT INTO jobs_queuestate AS held (queue, paused, paused_at)
VALUES (%(queue)s, true, clock_timestamp())
ON CONFLICT (queue) DO UPDATE SET paused = true, paused_at = excluded.paused_at
WHERE NOT held.paused
