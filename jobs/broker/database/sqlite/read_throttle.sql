-- The first job of a throttle that lasts.
SELECT job_id FROM jobs_throttle WHERE queue = :queue AND key = :key AND until > :now
