-- Let a queue wait as if it had been told now.
UPDATE jobs_queuestate
SET wait_from = :wait_from, wait_until = :wait_until
WHERE queue = :queue
