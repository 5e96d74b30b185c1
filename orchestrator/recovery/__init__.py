"""Checkpoints: every cycle starts from one, and every rejected or crashed cycle goes back to it."""
