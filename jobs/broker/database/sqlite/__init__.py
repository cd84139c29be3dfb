"""What only SQLite needs: its statements, and the word between the processes of its one machine."""
