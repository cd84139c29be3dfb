-- Blocked jobs that follow the success of a batch which ended with dead letters, where one of these was discarded or is gone.
SELECT follower.job_id
FROM jobs_batch AS batch
JOIN jobs_member AS follower ON follower.batch_id = batch.id AND follower.state = 'follows' AND follower.role = 'success'
JOIN jobs_job AS job ON job.id = follower.job_id AND job.state = 'blocked'
WHERE batch.ended_at IS NOT NULL AND NOT batch.succeeded
  AND EXISTS (
    SELECT
    FROM jobs_member AS member
    LEFT JOIN jobs_job AS dead ON dead.id = member.job_id
    WHERE member.batch_id = batch.id AND member.state = 'failed'
      AND (dead.id IS NULL OR dead.state IN ('cancelled', 'expired'))
  )
LIMIT 100
