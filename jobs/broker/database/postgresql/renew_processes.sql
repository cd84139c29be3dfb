-- Let the leases of these processes end later; who is not returned was released or reaped. Locked in the order of ids.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
chosen AS MATERIALIZED (
    SELECT id FROM jobs_process
    WHERE id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)) AND ending = ''
    ORDER BY id
    FOR UPDATE
)
UPDATE jobs_process
SET renewed_at = clock.now, lease_until = clock.now + %(lease)s * interval '1 second',
    clock_offset = %(clock_offset)s
FROM clock, chosen
WHERE jobs_process.id = chosen.id
RETURNING jobs_process.id
