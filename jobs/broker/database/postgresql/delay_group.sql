-- A group waits; a later end that was asked for before stays.
INSERT INTO jobs_groupstate AS held (queue, name, paused, wait_until, wait_from)
VALUES (%(queue)s, %(name)s, false, %(until)s::timestamp AT TIME ZONE 'UTC', %(now)s::timestamp AT TIME ZONE 'UTC')
ON CONFLICT (queue, name) DO UPDATE SET wait_until = excluded.wait_until, wait_from = excluded.wait_from
WHERE held.wait_until IS NULL OR held.wait_until < excluded.wait_until
