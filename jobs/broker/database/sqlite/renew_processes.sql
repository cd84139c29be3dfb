-- Let the leases of these processes end later; who is not returned was released or reaped.
UPDATE jobs_process
SET renewed_at = :now, lease_until = :lease_until, clock_offset = :clock_offset
WHERE id IN (SELECT value FROM json_each(:ids)) AND ending = ''
RETURNING id
