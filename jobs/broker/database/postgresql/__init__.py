"""What only PostgreSQL needs: its broker, connection and statements, and one that settles and claims in one trip."""
