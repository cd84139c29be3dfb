"""What a developer writes: queues, tasks, handles, events, and the messages that arguments travel in.

First of the stations: a call made here goes on to `jobs.enqueue`.
"""
