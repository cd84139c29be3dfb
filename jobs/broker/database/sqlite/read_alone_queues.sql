-- The queues, of those named, with a due job that must run alone while no such job is active; not while they stand still,
-- or its group does, or one of its tags is paused.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
SELECT DISTINCT queue
FROM jobs_job INDEXED BY jobs_ready_alone
WHERE state = 'queued' AND alone AND alone = 1 AND ready_at <= :now
  AND queue IN (SELECT value FROM json_each(:queues))
  AND NOT EXISTS (
      SELECT 1 FROM jobs_job AS running INDEXED BY jobs_queue_state
      WHERE running.queue = jobs_job.queue AND running.state = 'active' AND running.alone
  )
  AND NOT EXISTS (
      SELECT 1 FROM jobs_queuestate AS held
      WHERE held.queue = jobs_job.queue AND (held.paused OR held.elsewhere OR held.wait_until > :now)
  )
  AND NOT EXISTS (
      SELECT 1 FROM jobs_groupstate AS held
      WHERE held.queue = jobs_job.queue AND held.name = jobs_job."group" AND (held.paused OR held.wait_until > :now)
  )
  AND NOT EXISTS (
      SELECT 1 FROM jobs_queuestate AS held
      CROSS JOIN json_each(nullif(held.paused_tags, '')) AS paused
      CROSS JOIN json_each(nullif(jobs_job.tags, '')) AS tag
      WHERE held.queue = jobs_job.queue AND tag.value = paused.value
  )
