-- Remember an exchange that settled or claimed: should its reply get lost, the same number brings it again.
UPDATE jobs_process
SET exchange_number = %(number)s, exchanged_at = %(exchanged_at)s::timestamp AT TIME ZONE 'UTC', reply = %(reply)s
WHERE id = %(worker)s
