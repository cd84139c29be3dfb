-- The group that was served last at each priority.
INSERT INTO jobs_queuestate (queue, paused, turns)
VALUES (:queue, 0, :turns)
ON CONFLICT (queue) DO UPDATE SET turns = excluded.turns
