"""One process tree under limits: start it, watch it, end it, and say how it ended."""
