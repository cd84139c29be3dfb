-- A group is like the others again.
DELETE FROM jobs_groupstate
WHERE queue = %(queue)s AND name = %(name)s
