"""Lists in the admin for tables of a million rows: pages by key, counts that stop early, searches by index.

Knows no model. `KeysetAdmin` stands where Django's `ModelAdmin` would; see docs/large-tables.md.
"""
