-- End a process's lease: who has no row holds nothing, renews nothing and claims nothing.
DELETE FROM jobs_process
WHERE id = %(process)s
