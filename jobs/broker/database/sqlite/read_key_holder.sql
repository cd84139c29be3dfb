-- The live job that holds a key. Terms as in the index jobs_one_live_key.
SELECT id
FROM jobs_job
WHERE queue = :queue AND key = :key AND key IS NOT NULL AND state IN ('queued', 'active')
