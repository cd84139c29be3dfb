-- Let a worker claim nothing more, or claim again.
UPDATE jobs_process
SET paused = :paused
WHERE id = :worker AND kind = 'worker' AND ending = ''
RETURNING queue
