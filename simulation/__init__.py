"""Deterministic simulation: the real door and gate, and models of all that is around them."""
