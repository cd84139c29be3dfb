"""The parent process: it starts, watches and ends the workers and the keeper, and renews their leases.

Beside the way of a job: it sees that `jobs.work` and `jobs.keep` run.
"""
