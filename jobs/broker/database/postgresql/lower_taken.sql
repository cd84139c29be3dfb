-- So many slots of a limited queue are free again.
UPDATE jobs_queuestate
SET taken = taken - %(number)s
WHERE queue = %(queue)s
