-- A job of the outbox waits behind the holder of its key.
UPDATE jobs_job
SET rule = 'behind'
WHERE id = :id AND run = :run AND state = 'pending'
RETURNING id
