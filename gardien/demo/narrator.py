"""Tells what happens at the doors as lines in the terminal, read from the ledger itself."""

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from access.ids import MemberId
from access.policy import Reason
from access.wording import message
from gardien.demo.story import ZONE
from server import ledger
from server.database import Database
from server.ledger import StoredEntry

_POLL_S: Final = 0.1

_REMARKS: Final = {
    "watch.confirmed": ("◆", "bold cyan", ("{who} ouvre la permanence", "{who} opens the watch")),
    "watch.lapsed": ("◆", "bold cyan", ("Permanence sans suite", "The watch never began")),
    "watch.passed": ("◆", "bold cyan", ("{who} prend la permanence", "{who} takes the watch")),
    "watch.closing": ("◆", "bold cyan", ("On ferme : merci de sortir", "Closing: please leave")),
    "watch.closed": ("◆", "bold cyan", ("La permanence est terminée", "The watch is over")),
    "guests.changed": ("◆", "cyan", ("Invités : {guests}", "Guests: {guests}")),
    "site.recounted": ("◆", "cyan", ("Recompté : le compte est certain", "Recounted: certain now")),
    "site.swept": ("◆", "cyan", ("Le compte repart de zéro", "The count starts at zero")),
    "exit.requested": (
        "←",
        "dim yellow",
        ("Quelqu'un sort par le bouton", "Somebody leaves by the button"),
    ),
    "alert.door_forced": ("!", "bold red", ("Porte forcée", "Door forced")),
    "alert.door_held": ("!", "bold red", ("Porte tenue ouverte", "Door held open")),
    "alert.still_inside": (
        "!",
        "bold red",
        ("Il reste {present} personnes", "{present} people are still inside"),
    ),
}
"""What is told of a kind of entry: its sign, its style, its words in French and in English."""

_OUT: Final = ("sort", "leaves")
_HOURS: Final = {
    "hours": ("L'accueil ouvre", "The desk opens"),
    "closed": ("L'accueil est fermé", "The desk is closed"),
}


class Narrator:
    """Follows the ledger and tells it.

    Args:
        console: where to.
        database: where the ledger is.
        names: of members, by their ids.
        language: `fr` or `en`.
        since: from when on; what belongs to the time before the play is left out.
    """

    def __init__(
        self,
        *,
        console: Console,
        database: Database,
        names: Mapping[MemberId, str],
        language: str,
        since: datetime,
    ) -> None:
        self._console, self._database = console, database
        self._names, self._is_english = names, language == "en"
        self._language, self._since = language, since
        self._done = 0
        self._present = 0
        self._open = ""
        self._held: Text | None = None

    def run(self, stop: threading.Event) -> None:
        """Tell what comes until `stop` is set; blocks."""
        while not stop.wait(_POLL_S):
            self.catch_up()

    def catch_up(self) -> None:
        """Tell all that has come since last time."""
        with self._database.reading() as connection:
            entries = ledger.read(connection, after_id=self._done)
        for entry in entries:
            self._done = entry.id
            if entry.time >= self._since:
                self._tell(entry)
        if not entries:
            self._let_go()

    def _tell(self, entry: StoredEntry) -> None:
        """Tell an entry; who comes or goes is told with the count that follows from it."""
        kind = entry.kind.removeprefix("gardien.")
        if kind == "occupancy.changed":
            data = entry.record["data"]
            self._present = data["present"]
            self._let_go()
            self._print(self._hours(entry, data["open"]))
            return
        line = self._line(entry, kind)
        if line is not None:
            self._let_go()
            self._held = line

    def _let_go(self) -> None:
        held, self._held = self._held, None
        self._print(held)

    def _print(self, line: Text | None) -> None:
        if line is not None:
            count = Text(f"{self._present:>4} ", style="bold")
            self._console.print(count + line, soft_wrap=True)

    def _line(self, entry: StoredEntry, kind: str) -> Text | None:
        """Tell refusals as the server decides them, and who passes as the door records it."""
        data: dict[str, Any] = entry.record["data"]
        if kind == "access.decided" and not data["answer"]["granted"]:
            return self._said(entry, "✗", "red", data["answer"]["reason"], data["door"])
        if kind == "access.denied" and data.get("offline"):
            return self._said(entry, "✗", "red", data["reason"], entry.source)
        if kind == "access.granted" and data.get("reader") == "in":
            return self._said(entry, "→", "green", data["reason"], entry.source)
        return self._remark(entry, kind)

    def _remark(self, entry: StoredEntry, kind: str) -> Text | None:
        if kind == "access.granted":
            return self._told(entry, "←", f"{self._who(entry.member)} {self._of(_OUT)}", "dim")
        if kind in _REMARKS:
            sign, style, words = _REMARKS[kind]
            return self._told(entry, sign, self._filled(words, entry), style)
        return None

    def _said(self, entry: StoredEntry, sign: str, style: str, reason: str, door: str) -> Text:
        """Tell what the door said to somebody."""
        words = message(Reason(reason), self._language)
        text = words if entry.member is None else f"{self._names.get(entry.member)} · {words}"
        return self._told(entry, sign, text, style, door=door)

    def _hours(self, entry: StoredEntry, now: str) -> Text | None:
        before, self._open = self._open, now
        if before and now != before and {now, before} == {"hours", "closed"}:
            return self._told(entry, "◆", self._of(_HOURS[now]), "bold")
        return None

    def _told(
        self, entry: StoredEntry, sign: str, text: str, style: str, door: str | None = None
    ) -> Text:
        clock = entry.time.astimezone(ZONE).strftime("%H:%M")
        where = door or (entry.source if entry.source != "server" else "")
        return Text.assemble(
            (f" {clock}  ", "dim"),
            (f"{where:<7}", "dim"),
            (f"{sign} {text}", style),
        )

    def _filled(self, words: tuple[str, str], entry: StoredEntry) -> str:
        data = entry.record["data"]
        return self._of(words).format(
            who=self._who(entry.member),
            guests=data.get("guests"),
            present=data.get("present"),
        )

    def _who(self, member: MemberId | None) -> str:
        unknown = "Badge unknown" if self._is_english else "Badge inconnu"
        return self._names.get(member, member) if member is not None else unknown

    def _of(self, words: tuple[str, str]) -> str:
        return words[self._is_english]
