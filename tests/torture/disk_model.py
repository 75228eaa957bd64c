"""What may be on a disk after a power cut: everything synced, and of the rest any part.

Of each sector that was written to since its file was synced, the disk holds any of the contents
that it had since; so writes are lost, kept, torn and reordered in every way that a disk may choose.
When a sync is refused, the kernel takes what it could not write for written, and a later sync does
nothing for it: only what is written to again has another chance.
Names are in place only once their folder was synced; until then a file is there, or not.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.torture.disk_log import Call

SECTOR: Final = 512
_PAGE: Final = 8
"""Sectors of a page: what the kernel writes together."""

Choose = Callable[[int], int]
"""Given how many versions there are, oldest first, says which one the disk has."""


@dataclass(slots=True)
class _File:
    """One file: what programs see, and what was there at each moment since it was synced.

    Attributes:
        content: what programs see.
        sectors: the contents of each sector that was written to since, oldest first.
        sizes: likewise.
        given_up: what the disk has of sectors that a refused sync was for.
    """

    content: bytearray = field(default_factory=bytearray)
    sectors: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=lambda: [0])
    given_up: dict[int, bytes] = field(default_factory=dict)

    def write(self, offset: int, data: bytes) -> None:
        """Write, as far as programs see."""
        end = offset + len(data)
        touched = range(offset // SECTOR, (end - 1) // SECTOR + 1)
        self._remember(touched)
        if len(self.content) < end:
            self.content.extend(bytes(end - len(self.content)))
        self.content[offset:end] = data
        self._note(touched)

    def resize(self, size: int) -> None:
        """Cut or stretch, as far as programs see."""
        low, high = sorted((size, len(self.content)))
        touched = range(low // SECTOR, -(-high // SECTOR))
        self._remember(touched)
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))
        self._note(touched)

    def sync(self) -> None:
        """All that programs see is on the disk."""
        self.sectors.clear()
        self.sizes = [len(self.content)]

    def refuse(self, choose: Choose) -> None:
        """A sync failed: whatever is on the disk of what was written since stays there."""
        for number, versions in self.sectors.items():
            self.given_up[number] = versions[choose(len(versions))]
        self.sectors.clear()

    def on_disk(self, choose: Choose) -> bytes:
        """Give what the disk holds after a cut."""
        size = self.sizes[choose(len(self.sizes))]
        end = -(-max(size, len(self.content)) // SECTOR) * SECTOR
        image = self.content.ljust(end, b"\0")
        for number, old in self.given_up.items():
            image[number * SECTOR : (number + 1) * SECTOR] = old
        for number, versions in self.sectors.items():
            image[number * SECTOR : (number + 1) * SECTOR] = versions[choose(len(versions))]
        return bytes(image[:size])

    def _sector(self, number: int) -> bytes:
        part = bytes(self.content[number * SECTOR : (number + 1) * SECTOR])
        return part.ljust(SECTOR, b"\0")

    def _remember(self, touched: range) -> None:
        pages = {number // _PAGE for number in touched}
        for number in [n for n in self.given_up if n // _PAGE in pages]:
            self.sectors[number] = [self.given_up.pop(number), self._sector(number)]
        for number in touched:
            self.sectors.setdefault(number, [self._sector(number)])

    def _note(self, touched: range) -> None:
        for number in touched:
            self.sectors[number].append(self._sector(number))
        if self.sizes[-1] != len(self.content):
            self.sizes.append(len(self.content))


@dataclass(slots=True)
class Disk:
    """A disk, as far as one folder goes.

    Attributes:
        honest_syncs: whether a sync does what it says.
        notes: what the program has said.
        dice: choose what is left where a sync is refused.
    """

    honest_syncs: bool = True
    notes: list[str] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 (no secrets)
    _names: dict[str, _File] = field(default_factory=dict)
    _maybe: dict[str, list[_File | None]] = field(default_factory=dict)

    def do(self, call: Call) -> None:
        """Do what the program did."""
        match call.kind:
            case "note":
                self.notes += call.data.decode().splitlines()
            case "make" if call.name not in self._names:
                self._name(call.name, _File())
            case "drop":
                self._name(call.name, None)
            case "write":
                self._names[call.name].write(call.offset, call.data)
            case "size":
                self._names[call.name].resize(call.offset)
            case "sync" if self.honest_syncs:
                self._names[call.name].sync()
            case "sync-refused":
                self._names[call.name].refuse(_mood(self.dice))
            case "sync-names" if self.honest_syncs:
                self._maybe.clear()

    def settle(self) -> None:
        """Let all that was written so far reach the disk, as it does in time."""
        self._maybe.clear()
        for file in self._names.values():
            file.sync()

    def cut(self, folder: Path, dice: random.Random) -> None:
        """Write into a folder what the disk may hold now."""
        choose = _mood(dice)
        names: dict[str, _File | None] = dict(self._names)
        for name, versions in self._maybe.items():
            names[name] = versions[choose(len(versions))]
        for name, file in names.items():
            if file is not None:
                (folder / name).write_bytes(file.on_disk(choose))

    def _name(self, name: str, file: _File | None) -> None:
        versions = self._maybe.setdefault(name, [self._names.get(name)])
        versions.append(file)
        if file is None:
            self._names.pop(name, None)
        else:
            self._names[name] = file


def _mood(dice: random.Random) -> Choose:
    """Choose how a disk behaves in one cut: from all lost to all kept, and any mixture."""
    kept = dice.choice([0.0, 0.1, 0.5, 0.5, 0.9, 1.0])

    def choose(versions: int) -> int:
        if dice.random() < kept:
            return versions - 1
        return 0 if kept in (0.0, 1.0) else dice.randrange(versions)

    return choose
