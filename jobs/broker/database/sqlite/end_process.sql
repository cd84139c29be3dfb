-- End a process's lease although some of its jobs remain; they go back as `ending` says, whoever gives them back.
UPDATE jobs_process
SET ending = :ending, lease_until = :now
WHERE id = :process
