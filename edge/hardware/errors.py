"""What can be wrong with the hardware of a door before it ever worked."""


class LibraryMissingError(ImportError):
    """A library that this hardware needs is not installed, or refuses this machine."""


class PinsError(OSError):
    """A pin, or the chip that the pins hang on, cannot be used."""
