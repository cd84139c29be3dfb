-- The groups with settings of their own, by name.
SELECT name
FROM jobs_groupstate
WHERE queue = :queue AND name > :after
ORDER BY name
LIMIT :most
