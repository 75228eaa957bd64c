"""What an operation of the API is: one declaration, from which it is routed, guarded, described."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dashboards.guard import API, Admission, Who
from server.api_tokens import Scope

ROOT: Final = "/api/v1"
"""Where the API begins. What changes its answers in another way than to add is a new version."""

_PART: Final = re.compile(r"<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        name: of its view, and of the operation in the description.
        method: of HTTP.
        rule: where it is, below `ROOT`, as Flask writes it: `/doors/<door>/orders`.
        summary: what it does, in one line.
        who: may call it, logged in or by a token that acts for them.
        scope: what a token must be for; None for any.
        view: does it. It gets the parts of its path by name, what stands in the query as `query`,
            and what was sent as `body`, where those are declared.
        answer: what it gives; None for nothing.
        query: what may stand in the query.
        body: what is sent, in JSON.
        status: of HTTP, when it is done.
        refusals: the statuses of HTTP that it may give beside those that any may.
        of_site: whether it is about one site, named by `?site=`.
        is_once: whether an `Idempotency-Key` is heeded.
    """

    name: str
    method: str = "GET"
    rule: str
    summary: str
    who: Who
    scope: Scope | None = None
    view: Callable[..., Any]
    answer: type | None
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    status: int = 200
    refusals: tuple[int, ...] = ()
    of_site: bool = True
    is_once: bool = False

    @property
    def endpoint(self) -> str:
        """What Flask calls its view."""
        return f"{API}.{self.name}"

    @property
    def path(self) -> str:
        """Where it is, as OpenAPI writes it."""
        return ROOT + _PART.sub(r"{\2}", self.rule)

    @property
    def path_parts(self) -> tuple[tuple[str, str], ...]:
        """The parts of its path that change: the name and the type in JSON Schema of each."""
        found = _PART.findall(self.rule)
        return tuple((name, "integer" if kind == "int" else "string") for kind, name in found)

    @property
    def admission(self) -> Admission:
        """Who may call it."""
        return Admission(who=self.who, takes_tokens=True, scope=self.scope)
