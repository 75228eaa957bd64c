"""What a report says of the machine that it was made on."""

import math
import os
import platform
import sqlite3
from pathlib import Path


def machine() -> dict[str, str]:
    """Describe this machine, as far as figures depend on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": str(os.cpu_count()),
        "model": _model(),
        "memory": f"{math.ceil(memory / 2**30)} GiB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _model() -> str:
    """Name the processor; a Pi's kernel names it in its own way, or only its architecture."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, model = line.partition(":")
        if name.strip().lower() in {"model name", "model"} and not model.strip().isdigit():
            return model.strip()
    return platform.machine()
