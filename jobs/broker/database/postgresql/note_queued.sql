-- pending -> queued: rows whose jobs a broker outside the database has taken. A key that another row still holds, since
-- the history has not heard of its end yet, leaves the row pending.
UPDATE jobs_job
SET state = 'queued'
WHERE state = 'pending'
  AND (id, run) IN (
      SELECT (taken ->> 0)::uuid, (taken ->> 1)::integer FROM jsonb_array_elements(%(jobs)s::jsonb) AS taken
  )
  AND NOT EXISTS (
      SELECT FROM jobs_job AS holder
      WHERE holder.queue = jobs_job.queue AND holder.key = jobs_job.key AND holder.state IN ('queued', 'active')
  )
