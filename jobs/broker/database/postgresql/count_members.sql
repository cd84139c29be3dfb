-- The jobs of a batch by state: as kept with the batch, of those that live, also again, as their rows say.
SELECT CASE
    WHEN member.state = '' THEN coalesce(job.state, 'cancelled')
    WHEN member.state = 'failed' AND job.state IN ('blocked', 'pending', 'queued', 'active', 'completed') THEN job.state
    ELSE member.state
END AS shown, count(*)
FROM jobs_member AS member
LEFT JOIN jobs_job AS job ON job.id = member.job_id AND member.state IN ('', 'failed')
WHERE member.batch_id = %(id)s AND member.role = ''
GROUP BY 1
