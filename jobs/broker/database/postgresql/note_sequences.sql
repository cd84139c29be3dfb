-- Notes of new blocked jobs which sequence they are of; how each ends is to be told.
UPDATE jobs_job
SET sequence = one ->> 1, awaited = true
FROM json_array_elements(%(jobs)s::json) AS one
WHERE jobs_job.id = (one ->> 0)::uuid
