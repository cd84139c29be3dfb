-- Remember the grants of a limited queue; its row is locked.
UPDATE jobs_queuestate
SET grants = %(grants)s
WHERE queue = %(queue)s
