"""Files of leads: reading them, what each column means, and what becomes of a row. `services.imports` leads the way."""
