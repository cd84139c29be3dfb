-- Whether a job is active under a token.
SELECT 1
FROM jobs_job
WHERE id = :id AND queue = :queue AND token = :token AND state = 'active'
