-- Notes of jobs that others wait for them, or that those have been told.
UPDATE jobs_job
SET awaited = %(awaited)s
WHERE id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
RETURNING id
