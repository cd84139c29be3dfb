-- The keys that the database's own jobs hold: those that run, and if wanted those that wait.
SELECT key, id FROM jobs_job
WHERE queue = :queue AND key IN (SELECT value FROM json_each(:keys))
    AND (state = 'active' OR (:waiting AND state = 'queued'))
