-- Remember the grants of a limited queue.
INSERT INTO jobs_queuestate (queue, paused, grants)
VALUES (:queue, 0, :grants)
ON CONFLICT (queue) DO UPDATE SET grants = excluded.grants
