"""One module for each command; each gives it under the name `command`."""
