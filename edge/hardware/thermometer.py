"""Reads how warm the unit's processor is, from where Linux shows it.

Source: Linux, Documentation/ABI/testing/sysfs-class-thermal: thousandths of a degree Celsius.
"""

from pathlib import Path
from typing import Final

ZONES: Final = Path("/sys/class/thermal")
_COLDEST_C: Final = -50.0
_HOTTEST_C: Final = 150.0


def temperature_c(zones: Path = ZONES) -> float | None:
    """Give the temperature of the hottest zone, in degrees Celsius to a tenth.

    Blocks for some tens of microseconds.

    Args:
        zones: where the kernel shows them.

    Returns:
        None where there is none, or none that can be believed.
    """
    found = [_read(path) for path in sorted(zones.glob("thermal_zone*/temp"))]
    believed = [each for each in found if each is not None and _COLDEST_C < each < _HOTTEST_C]
    return max(believed, default=None)


def _read(path: Path) -> float | None:
    try:
        return round(int(path.read_text(encoding="ascii")) / 1000, 1)
    except (OSError, ValueError):
        return None
