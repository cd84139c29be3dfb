-- Those of these jobs that the process still holds under these tokens.
SELECT job.id
FROM json_each(:claims) AS given
JOIN jobs_job AS job ON job.id = json_extract(given.value, '$.id')
WHERE job.state = 'active' AND job.worker_id = :worker AND job.token = json_extract(given.value, '$.token')
