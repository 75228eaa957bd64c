"""A whole site on one machine, playing a day in fast motion."""
