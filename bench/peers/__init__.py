"""Esteira beside other job systems, on the same work, the same servers and in the same run: `make bench`."""
