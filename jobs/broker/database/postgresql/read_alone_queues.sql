-- The queues, of those named, with a due job that must run alone while no such job is active; not while they stand still,
-- or its group does, or one of its tags is paused.
SELECT DISTINCT queue
FROM jobs_job
WHERE state = 'queued' AND alone AND ready_at <= clock_timestamp()
  AND queue IN (SELECT value FROM json_array_elements_text(%(queues)s::json))
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS running
      WHERE running.queue = jobs_job.queue AND running.state = 'active' AND running.alone
  )
  AND NOT EXISTS (
      SELECT 1 FROM jobs_queuestate AS held
      WHERE held.queue = jobs_job.queue AND (held.paused OR held.elsewhere OR held.wait_until > clock_timestamp())
  )
  AND NOT EXISTS (
      SELECT 1 FROM jobs_groupstate AS held
      WHERE held.queue = jobs_job.queue AND held.name = jobs_job."group"
        AND (held.paused OR held.wait_until > clock_timestamp())
  )
  AND NOT EXISTS (
      SELECT FROM jobs_queuestate AS held
      CROSS JOIN json_array_elements_text(nullif(held.paused_tags, '')::json) AS paused_tag
      CROSS JOIN json_array_elements_text(nullif(jobs_job.tags, '')::json) AS tag
      WHERE held.queue = jobs_job.queue AND tag = paused_tag
  )
