"""Adapters from the ports of a door unit to the parts on a Raspberry Pi."""
