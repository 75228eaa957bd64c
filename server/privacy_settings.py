"""What the privacy pages say of whoever runs the place: section `[privacy]` of `gardien.toml`."""

from typing import Annotated

from msgspec import Meta

from runtime.settings import Settings

_Line = Annotated[
    str,
    Meta(min_length=1, max_length=300, pattern=r"\A[^\x00-\x1f]+\Z", description="a line of text"),
]


class PrivacySettings(Settings, frozen=True, kw_only=True):
    """Who answers for what is recorded: GDPR, articles 13 and 30.

    Attributes:
        controller: name and address of who runs the place.
        contact: whom to ask, and how: an e-mail address, a telephone number, the desk.
        officer: the data protection officer and how to reach them, where there is one.
        processors: who hosts the server, the backups, the alerts, if not the place itself.
        authority: where to complain.
        cameras: whether the place has cameras, which gardien knows nothing of; None to leave it
            unsaid.
    """

    controller: _Line | None = None
    contact: _Line | None = None
    officer: _Line | None = None
    processors: tuple[_Line, ...] = ()
    authority: _Line = "CNIL, www.cnil.fr"
    cameras: bool | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The settings without which the notice is not one."""
        known = {"controller": self.controller, "contact": self.contact}
        return tuple(name for name, value in known.items() if value is None)
