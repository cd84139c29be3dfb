-- For each priority, when its first job that must run alone is due. There are few of these.
SELECT priority, min(ready_at)
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND alone
GROUP BY priority
