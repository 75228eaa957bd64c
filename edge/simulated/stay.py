"""How long a card stays in the field, counted in frames or in bytes over the air."""


class Stay:
    """One stay of a card before a reader; it may be arranged to end at an awkward moment."""

    def __init__(self) -> None:
        self._frames_left: int | None = None
        self._bytes_left: int | None = None
        self.is_over = False

    def begin(self) -> None:
        """Come into the field; what was arranged for leaving still stands."""
        self.is_over = False

    def end_after(self, *, frames: int | None, air_bytes: int | None) -> None:
        """Arrange the end: after so many frames answered, or so many bytes in either direction."""
        self._frames_left, self._bytes_left = frames, air_bytes

    def hear(self, count: int) -> bool:
        """Say whether a frame of `count` bytes reaches the card whole."""
        is_cut = self._bytes_left is not None and self._bytes_left < count
        if self._frames_left == 0 or is_cut:
            self._end()
        elif self._bytes_left is not None and not self.is_over:
            self._bytes_left -= count
        return not self.is_over

    def speak(self, count: int) -> int:
        """Say how many of `count` bytes of an answer get out before the card is gone."""
        if self._frames_left is not None:
            self._frames_left -= 1
        if self._bytes_left is None:
            return count
        out = min(count, self._bytes_left)
        self._bytes_left -= out
        if out < count:
            self._end()
        return out

    def _end(self) -> None:
        self.is_over, self._frames_left, self._bytes_left = True, None, None
