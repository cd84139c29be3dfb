-- The groups with settings of their own, by name.
SELECT name
FROM jobs_groupstate
WHERE queue = %(queue)s AND name COLLATE "C" > %(after)s
ORDER BY name COLLATE "C"
LIMIT %(most)s
