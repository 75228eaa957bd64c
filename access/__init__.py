"""The rulebook that doors and server share: pure, without socket, file, clock or thread."""
