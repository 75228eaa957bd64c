"""The command line: where every part meets."""
