"""Runs `gardien` under libfaketime: see `tests.torture.clocked_door`."""

import runpy
import time

from tests.torture.clocked_door import sleep

if __name__ == "__main__":
    time.sleep = sleep
    runpy.run_module("gardien", run_name="__main__")
