-- Let a group wait as if it had been told now.
UPDATE jobs_groupstate
SET wait_from = %(wait_from)s::timestamp AT TIME ZONE 'UTC', wait_until = %(wait_until)s::timestamp AT TIME ZONE 'UTC'
WHERE id = %(id)s
