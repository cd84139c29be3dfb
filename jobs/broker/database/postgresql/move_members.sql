-- The job that holds a key takes the place of its duplicate in a batch, unless it is in there already.
UPDATE jobs_member
SET job_id = %(holder)s, lent = true
WHERE job_id = %(id)s AND state = ''
  AND NOT EXISTS (
      SELECT 1 FROM jobs_member AS other
      WHERE other.job_id = %(holder)s AND other.batch_id = jobs_member.batch_id AND other.role = ''
  )
