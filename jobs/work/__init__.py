"""Inside a worker process: a pool of threads claims jobs, runs them and settles how they ended.

Before it: `jobs.broker`. After it: `jobs.broker` once more, which settles, and `jobs.history`.
"""
