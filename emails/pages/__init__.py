"""The pages on which members write, send and watch campaigns."""
