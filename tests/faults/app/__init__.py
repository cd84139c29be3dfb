"""The app whose tasks the fault tests run in real processes."""
