-- Let a worker claim nothing more, or claim again. An exchange under way holds the row: this waits for its end.
UPDATE jobs_process
SET paused = %(paused)s
WHERE id = %(worker)s AND kind = 'worker' AND ending = ''
RETURNING queue
