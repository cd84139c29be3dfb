"""When a schedule ticks, as frozen values: what a developer writes, and what a schedule's row is read into.

Before it: nothing but the clock. After it: the rows of `jobs.models.schedule`, and the keeper that ticks.
"""
