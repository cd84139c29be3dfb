-- Jobs of a batch, and those that follow its end.
INSERT INTO jobs_member (batch_id, job_id, role, state, lent)
SELECT %(batch)s::uuid, value::uuid, %(role)s::text, CASE WHEN %(role)s::text = '' THEN '' ELSE 'follows' END, false
FROM json_array_elements_text(%(ids)s::json)
