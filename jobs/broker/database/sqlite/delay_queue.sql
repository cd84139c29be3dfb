-- The whole queue waits; a later end that was asked for before stays.
INSERT INTO jobs_queuestate (queue, paused, wait_until, wait_from)
VALUES (:queue, 0, :until, :now)
ON CONFLICT (queue) DO UPDATE SET wait_until = excluded.wait_until, wait_from = excluded.wait_from
WHERE wait_until IS NULL OR wait_until < excluded.wait_until
