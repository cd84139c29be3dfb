"""The keeper: a child process of every `run_huey` with one small duty a file, each at its interval.

Beside the way of a job: what a dead process or a passing minute left to do.
"""
