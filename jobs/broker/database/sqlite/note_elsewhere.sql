-- Another broker keeps the queue from now on.
INSERT INTO jobs_queuestate (queue, paused, elsewhere) VALUES (:queue, 0, 1)
ON CONFLICT (queue) DO UPDATE SET elsewhere = 1
