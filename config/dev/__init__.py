"""What `make run` and `make demo` do: they start the project as a person would, from outside.

Nothing here imports Django: each step is a `manage.py` command or an HTTP request.
"""
