-- In which states the jobs of a batch have ended.
SELECT DISTINCT state
FROM jobs_member
WHERE batch_id = %(id)s AND role = ''
