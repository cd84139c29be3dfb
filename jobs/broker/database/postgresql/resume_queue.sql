-- End a pause and a provider's "slow down".
UPDATE jobs_queuestate
SET paused = false, paused_at = NULL, wait_until = NULL, wait_from = NULL
WHERE queue = %(queue)s
