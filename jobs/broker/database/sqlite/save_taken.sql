-- Remember how many slots of a limited queue are taken.
INSERT INTO jobs_queuestate (queue, paused, taken)
VALUES (:queue, 0, :taken)
ON CONFLICT (queue) DO UPDATE SET taken = excluded.taken
