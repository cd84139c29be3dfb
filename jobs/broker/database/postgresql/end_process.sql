-- End a process's lease although some of its jobs remain; they go back as `ending` says, whoever gives them back.
UPDATE jobs_process
SET ending = %(ending)s, lease_until = clock_timestamp()
WHERE id = %(process)s
