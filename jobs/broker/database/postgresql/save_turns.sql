-- The group that was served last at each priority.
UPDATE jobs_queuestate
SET turns = %(turns)s
WHERE queue = %(queue)s
