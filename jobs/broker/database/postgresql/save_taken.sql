-- Remember how many slots of a limited queue are taken; its row is locked.
UPDATE jobs_queuestate
SET taken = %(taken)s
WHERE queue = %(queue)s
