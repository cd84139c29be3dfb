-- A group waits; a later end that was asked for before stays.
INSERT INTO jobs_groupstate (queue, name, paused, wait_until, wait_from)
VALUES (:queue, :name, 0, :until, :now)
ON CONFLICT (queue, name) DO UPDATE SET wait_until = excluded.wait_until, wait_from = excluded.wait_from
WHERE wait_until IS NULL OR wait_until < excluded.wait_until
