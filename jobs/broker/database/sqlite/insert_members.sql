-- Jobs of a batch, and those that follow its end.
INSERT INTO jobs_member (batch_id, job_id, role, state, lent)
SELECT :batch, value, :role, CASE WHEN :role = '' THEN '' ELSE 'follows' END, false
FROM json_each(:ids)
