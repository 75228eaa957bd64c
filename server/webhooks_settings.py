"""What `gardien.toml` says of webhooks: who is told of what, and how it is signed."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta
from urllib3.util import parse_url

from runtime.settings import RuleError, Settings, Slug
from runtime.written import Between, Duration, is_loopback

_SECRETS_IN_IT: Final = re.compile(r"//[^/?#]*@")

EventPattern = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z_.]{0,60}\*?\Z|\A\*\Z",
        description='a type such as "watch.closed", or its beginning such as "door.*", or "*"',
    ),
]

HookUrl = Annotated[
    str,
    Meta(
        pattern=r"\Ahttps?://[^\s\x00-\x1f#]{1,1000}\Z",
        description='an address such as "https://example.org/gardien"',
    ),
]


class WebhookSettings(Settings, frozen=True, kw_only=True):
    """One webhook: an address that is told what happens.

    Attributes:
        id: its slug, by which it is listed.
        url: where events are sent: https, or http to this machine.
        secret_file: a file that holds the secret that signs, `whsec_` and base64, in its first line
            (Standard Webhooks 1.0).
        previous_secret_file: the one before it, while the receiver changes over.
        events: which, by their type without `gardien.`.
        sites: of which sites; none is all.
        people: what is told of people: nothing, their ids, or their names too.
        batch: how many events one request may carry, 1 to 1,000; above 1 each request is a batch of
            CloudEvents, also where it holds one.
        timeout: how long an answer may take, 1 s to 1 min.
        give_up_after: after how long without success what waits is set aside, 1 h to 30 d.
        allow_http: whether http to another machine is allowed all the same.
    """

    id: Slug
    url: HookUrl
    secret_file: Path
    previous_secret_file: Path | None = None
    events: tuple[EventPattern, ...] = ("*",)
    sites: tuple[Slug, ...] = ()
    people: Literal["none", "ids", "names"] = "none"
    batch: Annotated[int, Meta(ge=1, le=1000)] = 1
    timeout: Annotated[Duration, Between("1 s", "1 min")] = Duration(seconds=10)
    give_up_after: Annotated[Duration, Between("1 h", "30 d")] = Duration(days=3)
    allow_http: bool = False

    def __post_init__(self) -> None:
        """Refuse secrets in the address, and plain text over a network."""
        if _SECRETS_IN_IT.search(self.url):
            raise RuleError("take the name and password out of it", field="url")
        try:
            parsed = parse_url(self.url)
        except ValueError as error:
            raise RuleError("is no address that can be asked", field="url") from error
        is_here = is_loopback((parsed.host or "").strip("[]"))
        if parsed.scheme != "https" and not is_here and not self.allow_http:
            raise RuleError(
                "what happens at the doors would travel in the clear; write https, or "
                "allow_http = true",
                field="url",
            )
