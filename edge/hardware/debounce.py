"""Tells a real change of a wire from the bouncing of its contacts. Pure: time is an argument."""

from typing import Final

DEFAULT_DEBOUNCE_S: Final = 0.05
LONGEST_DEBOUNCE_S: Final = 0.4


class Debouncer:
    """Takes a new level as true once it has been stable for `debounce_s`.

    A pulse shorter than that is ignored. Since `debounce_s` is at most 0.4 s, a clean pulse over
    0.4 s is never missed; contacts that bounce want a `debounce_s` well below that.
    """

    def __init__(self, *, is_active: bool, debounce_s: float) -> None:
        """Begin with a level that is taken as true.

        Args:
            is_active: the level at the start.
            debounce_s: 0 to 0.4 seconds.

        Raises:
            ValueError: `debounce_s` is out of range.
        """
        if not 0 <= debounce_s <= LONGEST_DEBOUNCE_S:
            raise ValueError(
                f"debounce_s is {debounce_s}: must be 0 to {LONGEST_DEBOUNCE_S}, "
                "so that no pulse over 0.4 s is missed"
            )
        self.is_active = is_active
        self._debounce_s = debounce_s
        self._raw = is_active
        self._since_s = 0.0

    def note(self, raw: bool, now_s: float) -> bool | None:  # noqa: FBT001 - a level is a level
        """Take a look at the wire, or an edge of it.

        Args:
            raw: the level now, before debouncing.
            now_s: monotonic seconds, never less than before.

        Returns:
            The new level if one has now been stable for long enough, else None. A pulse that was
            long enough is told even if it is over by the time of this look.
        """
        told = None
        due_s = self.due_at_s()
        if due_s is not None and now_s >= due_s:
            told = self.is_active = self._raw
        if raw is not self._raw:
            self._raw, self._since_s = raw, now_s
        return told

    def due_at_s(self) -> float | None:
        """When to look next for a change that is under way; None while there is none."""
        return None if self._raw is self.is_active else self._since_s + self._debounce_s
