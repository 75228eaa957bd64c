"""A door without hardware: an emulated reader chip, emulated pins, cards and people."""
