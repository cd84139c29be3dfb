-- pending -> queued: rows whose jobs a broker outside the database has taken. A key that another row still holds, since
-- the history has not heard of its end yet, leaves the row pending.
UPDATE jobs_job
SET state = 'queued'
WHERE state = 'pending'
  AND (id, run) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:jobs))
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS holder
      WHERE holder.queue = jobs_job.queue AND holder.key = jobs_job.key AND holder.state IN ('queued', 'active')
  )
