-- Remember an exchange that settled or claimed: should its reply get lost, the same number brings it again.
UPDATE jobs_process
SET exchange_number = :number, exchanged_at = :exchanged_at, reply = :reply
WHERE id = :worker
