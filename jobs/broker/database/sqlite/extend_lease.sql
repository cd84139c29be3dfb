-- Give a lease one more term.
UPDATE jobs_process
SET lease_until = :lease_until
WHERE id = :worker
