"""The cards of the people at simulated doors: what is written on one stays, if need be on disk."""

import os
from pathlib import Path
from typing import Final

from edge.simulated.card import VirtualCard

_MOST_CARDS: Final = 10_000
_FOLDER_OWNER_ONLY: Final = 0o700
_OWNER_ONLY: Final = 0o600

_Key = tuple[bytes, str]


class Wallet:
    """All cards that there are, genuine ones and copies."""

    def __init__(self, folder: Path | None = None) -> None:
        """Begin with no card.

        Args:
            folder: where cards keep their memory; doors that share it see the same cards. None:
                they keep it as long as this wallet.
        """
        self._folder = folder
        self._cards: dict[_Key, VirtualCard] = {}
        self._images: dict[_Key, bytes] = {}

    def card(self, uid: bytes, copy: str = "", *, is_uid_only: bool = False) -> VirtualCard:
        """Return a card; the same each time.

        Args:
            uid: 4, 7 or 10 bytes.
            copy: the name of a copy; "" is the genuine card. A copy is made when it is first named.
            is_uid_only: the copy is made of the UID alone, with the keys of a factory; else of the
                whole memory as it is then.

        Raises:
            ValueError: no card can have this UID.
            OSError: its memory can't be read.
        """
        found = self._find(uid, copy)
        if found is not None:
            return found
        made = self.card(uid).copy() if copy and not is_uid_only else VirtualCard(uid)
        return self._add((uid, copy), made)

    def put_away(self, uid: bytes, copy: str = "") -> None:
        """Keep what was written on a card since it was taken out; blocks for the disk.

        Raises:
            OSError: it can't be written.
        """
        key = (uid, copy)
        card = self._cards.get(key)
        if self._folder is None or card is None or card.image == self._images.get(key):
            return
        self._folder.mkdir(mode=_FOLDER_OWNER_ONLY, parents=True, exist_ok=True)
        path = self._path(self._folder, key)
        draft = path.with_suffix(f".{os.getpid()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(card.image)
        draft.replace(path)
        self._images[key] = card.image

    def _find(self, uid: bytes, copy: str) -> VirtualCard | None:
        """Find a card as it is now: another door may have written on it."""
        key = (uid, copy)
        path = None if self._folder is None else self._path(self._folder, key)
        if path is None or not path.exists():
            return self._cards.get(key)
        image = path.read_bytes()
        if key not in self._cards or image != self._images.get(key):
            self._add(key, VirtualCard(uid, image=image))
            self._images[key] = image
        return self._cards[key]

    def _add(self, key: _Key, card: VirtualCard) -> VirtualCard:
        if key not in self._cards and len(self._cards) >= _MOST_CARDS:
            oldest = next(iter(self._cards))
            del self._cards[oldest]
            self._images.pop(oldest, None)
        self._cards[key] = card
        self._images[key] = card.image if not key[1] else b""
        return card

    @staticmethod
    def _path(folder: Path, key: _Key) -> Path:
        uid, copy = key
        return folder / (f"{uid.hex()}.{copy}.card" if copy else f"{uid.hex()}.card")
