-- Another broker keeps the queue from now on.
INSERT INTO jobs_queuestate (queue, paused, elsewhere) VALUES (%(queue)s, false, true)
ON CONFLICT (queue) DO UPDATE SET elsewhere = true
