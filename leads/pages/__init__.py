"""The pages on which members work with leads."""
