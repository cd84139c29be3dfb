-- Notes of new blocked jobs which sequence they are of; how each ends is to be told.
UPDATE jobs_job
SET sequence = json_extract(one.value, '$[1]'), awaited = 1
FROM json_each(:jobs) AS one
WHERE jobs_job.id = json_extract(one.value, '$[0]')
