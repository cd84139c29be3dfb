"""What a developer writes: queues, tasks, handles, events, and the messages that arguments travel in.

First of the stations. After it: `jobs.enqueue`, where a call becomes a job.
"""
