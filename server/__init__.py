"""The server: decides, remembers, counts."""
