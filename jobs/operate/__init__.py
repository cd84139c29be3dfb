"""What people do with jobs and queues, a file a verb: retry, cancel, promote, pause, drain, clean, erase.

Last of the stations; the admin, the command line and Python callers share it: `jobs` exports the verbs. Each may be
called inside a transaction; with `by`, a user, each leaves a line in the admin's log.
"""
