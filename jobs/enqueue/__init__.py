"""A call becomes a job: checked, written with the caller's data or given to the broker.

Before it: `jobs.define`. After it: `jobs.broker`, which keeps the job until a worker claims it.
"""
