-- Let a group wait as if it had been told now.
UPDATE jobs_groupstate
SET wait_from = :wait_from, wait_until = :wait_until
WHERE id = :id
