"""The broker on Redis 6.2+ or Valkey: each step of a job's life is one Lua script, which happens whole or not at all.

Before it: `jobs.enqueue` and the keeper's relay. After it: `jobs.work`.
"""
