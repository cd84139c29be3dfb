"""What people do with jobs and queues: retry, cancel, promote, pause, drain, clean, erase.

Last of the stations; the admin, the command line and Python callers share it.
"""
