-- Give a lease one more term.
UPDATE jobs_worker
SET lease_until = :lease_until
WHERE id = :worker
