"""What only SQLite needs: its broker, connection and statements, and the word between processes of one machine."""
