"""Starwire: commands in, pushes out, and work that finishes in 25 hours whatever crashes meanwhile."""
