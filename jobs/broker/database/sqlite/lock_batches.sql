-- These batches; SQLite has one lock for everything.
SELECT id
FROM jobs_batch
WHERE id IN (SELECT value FROM json_each(:ids))
ORDER BY id
