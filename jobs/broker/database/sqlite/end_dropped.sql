-- Jobs that ended in this run and of which nothing is kept, where others wait for them and have not been told.
UPDATE jobs_job
SET state = :state, ended_at = :ended_at, reason = :reason
WHERE awaited AND run = :run AND state IN ('pending', 'queued', 'active')
  AND id IN (SELECT value FROM json_each(:ids))
