-- Which tags of a queue are paused from now on.
UPDATE jobs_queuestate
SET paused_tags = %(tags)s
WHERE queue = %(queue)s
