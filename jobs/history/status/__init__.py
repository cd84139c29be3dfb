"""How the engine is: numbers, and findings that say what is wrong and what mends it."""
