-- The first job of a throttle that lasts.
SELECT job_id FROM jobs_throttle WHERE queue = %(queue)s AND key = %(key)s AND until > clock_timestamp()
