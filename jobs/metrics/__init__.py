"""The engine in numbers, for Prometheus: from what is recorded in SQL, so right with any number of processes.

It stands above `history`, of which it tells; needs the package prometheus-client.
"""
