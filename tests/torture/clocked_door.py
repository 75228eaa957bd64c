"""Runs `traced_door` under libfaketime, with a sleep that it leaves alone.

libfaketime 0.9.10 makes sleeping until a monotonic time an invalid argument where that clock is not
to be faked, and that is how Python sleeps (clock_nanosleep(2)); select(2) it does not touch.
"""

import runpy
import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex, /) -> None:
    """Sleep as `time.sleep` does."""
    assert isinstance(seconds, float | int)
    select.select([], [], [], seconds)


if __name__ == "__main__":
    # Before anything of the door is imported, which may keep the sleep that it finds.
    time.sleep = sleep
    runpy.run_module("tests.torture.traced_door", run_name="__main__")
