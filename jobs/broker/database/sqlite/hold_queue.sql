-- The whole queue waits; a later end that was asked for before stays.
INSERT INTO jobs_queuestate (queue, paused, wait_until)
VALUES (:queue, 0, :until)
ON CONFLICT (queue) DO UPDATE SET wait_until = excluded.wait_until
WHERE wait_until IS NULL OR wait_until < excluded.wait_until
