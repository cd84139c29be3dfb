"""What only PostgreSQL needs: its connection, its statements, and one that settles and claims in one trip."""
