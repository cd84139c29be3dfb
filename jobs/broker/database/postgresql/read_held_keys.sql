-- The keys that the database's own jobs hold: those that run, and if wanted those that wait.
SELECT key, id FROM jobs_job
WHERE queue = %(queue)s AND key IN (SELECT json_array_elements_text(%(keys)s::json))
    AND (state = 'active' OR (%(waiting)s AND state = 'queued'))
