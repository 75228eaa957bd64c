"""How influxdb-client is made to talk to every InfluxDB from 1.6 to 3.

InfluxDB 1.6 lacks `/api/v2/write`, so each write goes where the server's version takes it; the
rest of the library (line protocol, escaping, retries) is used as it is. Tried with 1.50.
"""
# mypy: allow-untyped-calls
# The library says that it is typed, and half of its functions are not.

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec

# The only place where the library lets a call be seen before it goes out; it has no public name.
from influxdb_client._sync.api_client import ApiClient
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point as LinePoint
from influxdb_client.client.write_api import WriteApi, WriteOptions, WriteType
from influxdb_client.rest import ApiException
from urllib3 import HTTPResponse, Retry
from urllib3.exceptions import HTTPError

from server import history_influxql as influxql
from server.history import (
    HistoryForbidden,
    HistoryRejected,
    HistoryUnavailable,
    Retention,
    to_us,
)
from server.history_points import Point

_V2_WRITE: Final = "/api/v2/write"
_V1_WRITE: Final = "/write"
_NANOSECONDS: Final = "ns"
_FORBIDDEN: Final = frozenset({401, 403})
_NEVER: Final = frozenset({400, 413, 422})
_PIECE_BYTES: Final = 65536
_RETRY_AFTER_MS: Final = 200
_RETRY_AFTER_MAX_MS: Final = 1_000

Params = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxSettings:
    """Where InfluxDB is and how to get in. Secrets are left out when it is shown as text.

    Attributes:
        url: `http://host:port` or `https://host:port`, without user and password.
        database: first half of the buckets `<database>/raw` and `<database>/hourly`.
        user: for 1.x with `auth-enabled`; goes with `password`, sent by HTTP Basic.
        password: goes with `user`.
        token: for 1.8 and newer, in place of user and password.
        org: the organisation of a 2.x server; others ignore it.
        ca_file: PEM file of the authority that signed the server's certificate, when it is not a
            public one.
        timeout_s: the budget of one reading, in seconds, more than 0.
        write_timeout_s: the time for one try at writing one batch, in seconds, more than 0.
        retries: how often a batch is tried again at once, 0 or more.
        batch_points: the most points in one request, 1 or more.
    """

    url: str
    database: str = "gardien"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    org: str = "-"
    ca_file: str | None = None
    timeout_s: float = 2.0
    write_timeout_s: float = 10.0
    retries: int = 2
    batch_points: int = 5000

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address of InfluxDB must look like http://host:8086")
        if parts.username is not None or parts.password is not None:
            # An address ends up in logs and on pages.
            raise ValueError("give InfluxDB's user and password as settings, not in its address")
        if (self.user is None) != (self.password is None):
            raise ValueError("InfluxDB's user and password go together")
        if self.user is not None and self.token is not None:
            raise ValueError("give InfluxDB's token, or its user and password, not both")
        if self.user is not None and ":" in self.user:
            raise ValueError("InfluxDB's user must hold no ':', which HTTP Basic cannot carry")
        if not (self.token or "").isascii() or not (self.token or "").isprintable():
            raise ValueError("InfluxDB's token must be printable ASCII")
        if min(self.timeout_s, self.write_timeout_s) <= 0 or self.batch_points < 1:
            raise ValueError("InfluxDB's times and batches must be more than 0")

    @property
    def is_basic(self) -> bool:
        """Whether to log in by HTTP Basic."""
        return self.user is not None

    def bucket(self, retention: Retention) -> str:
        """Give the name by which influxdb-client knows a database and retention policy."""
        return f"{self.database}/{retention.value}"


class InfluxClient:
    """One connection pool to one InfluxDB, with our errors. Connects at the first call."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._client = _client(settings)
        self._routes = _RoutedApiClient(self._client, settings)
        self._client.api_client = self._routes
        self._writer = WriteApi(self._client, _write_options(settings))
        self._version: influxql.Version | None = None
        self._is_closed = False

    def version(self) -> influxql.Version:
        """Say which version answers; asked once, and again after it was away. Blocks.

        Raises:
            HistoryUnavailable: none does.
        """
        if self._version is None:
            with self._our_errors("answer"):
                reply = self._routes.send("/ping", "GET", [], self._settings.timeout_s)
            self._version = influxql.Version.of(reply.version)
            # The v2 path takes tokens only.
            self._routes.is_v2 = self._version.has_v2_write and not self._settings.is_basic
        return self._version

    def query(
        self, method: str, statement: str, params: Params, timeout_s: float
    ) -> influxql.Answer:
        """Send one InfluxQL statement and give the answer. Blocks for `timeout_s` at most.

        Raises:
            HistoryUnavailable: no answer, or none that makes sense.
        """
        every = [*params, ("q", statement), ("epoch", _NANOSECONDS), ("chunked", "true")]
        with self._our_errors("answer a query"):
            return influxql.answer(self._routes.send("/query", method, every, timeout_s).body)

    def write(self, points: Sequence[Point], retention: Retention) -> None:
        """Store one batch, tried a few times. Blocks.

        Raises:
            HistoryUnavailable: not stored, or not known to be.
            HistoryRejected: some are dropped for good, and the others are stored.
        """
        lines = [_line_point(point) for point in points]
        self.version()
        with self._our_errors("write points", len(points)):
            self._writer.write(self._settings.bucket(retention), self._settings.org, lines)

    def close(self) -> None:
        """Let go of connections. Closing twice is harmless."""
        if not self._is_closed:
            self._is_closed = True
            self._writer.close()
            self._client.close()

    @contextmanager
    def _our_errors(self, doing: str, points: int = 0) -> Iterator[None]:
        """Turn the errors of influxdb-client, urllib3 and msgspec into ours."""
        where = f"InfluxDB at {self._settings.url}"
        if self._is_closed:
            raise HistoryUnavailable(f"{where} cannot {doing}: the history is closed")
        try:
            yield
        except ApiException as error:
            _raise_ours(error, f"{where} does not {doing}", points)
        except HTTPError as error:
            # Another version may come back than the one that went away.
            self._version = None
            raise HistoryUnavailable(f"{where} does not {doing} now: {error}") from error
        except msgspec.DecodeError as error:
            raise HistoryUnavailable(f"{where} does not answer as InfluxDB does") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What of a response matters here."""

    version: str | None
    body: bytes


class _RoutedApiClient(ApiClient):
    """The library's HTTP client, with writes sent where the server takes them, and tried again."""

    def __init__(self, client: InfluxDBClient, settings: InfluxSettings) -> None:
        super().__init__(
            configuration=client.conf,
            header_name=client.auth_header_name,
            header_value=client.auth_header_value,
        )
        self._settings = settings
        self.is_v2 = False

    def call_api(
        self, resource_path: str, method: str, *parts: object, **options: object
    ) -> object:
        """Do what the library does, but for writes. Blocks."""
        if resource_path == _V2_WRITE:
            options["urlopen_kw"] = {"retries": _retries(self._settings)}
            options["_request_timeout"] = _ms(self._settings.write_timeout_s)
            if not self.is_v2:
                # The library passes path, query and header parameters in this order.
                path_params, query_params, *rest = parts
                parts = (path_params, _v1_params(query_params), *rest)
                resource_path = _V1_WRITE
        return super().call_api(resource_path, method, *parts, **options)

    def send(self, path: str, method: str, params: Params, timeout_s: float) -> _Reply:
        """Send a request and give what comes back. Blocks for `timeout_s` at most.

        Raises:
            HistoryUnavailable: the answer was not there in time.
        """
        ends_at = time.monotonic() + timeout_s
        response: HTTPResponse = super().call_api(
            path,
            method,
            query_params=list(params),
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=_ms(timeout_s),
        )
        body = _read_until(response, ends_at, timeout_s)
        return _Reply(version=response.headers.get("X-Influxdb-Version"), body=body)


def _read_until(response: HTTPResponse, ends_at: float, timeout_s: float) -> bytes:
    """Read an answer to its end, so that its connection goes back to the pool.

    The library's own timeout starts anew with each piece that arrives.
    """
    body = bytearray()
    while piece := response.read1(_PIECE_BYTES):
        body += piece
        if time.monotonic() > ends_at:
            response.close()
            raise HistoryUnavailable(f"InfluxDB's answer took longer than {timeout_s:.1f} s")
    return bytes(body)


def _client(settings: InfluxSettings) -> InfluxDBClient:
    # Not the library's own `username` and `password`: with them it calls 2.x's /signin.
    token = f"{settings.user}:{settings.password}" if settings.is_basic else settings.token
    return InfluxDBClient(
        url=settings.url,
        token=token or "",
        org=settings.org,
        auth_basic=settings.is_basic,
        ssl_ca_cert=settings.ca_file,
    )


def _write_options(settings: InfluxSettings) -> WriteOptions:
    # Synchronous, because a write has to be known to be stored; the batches are ours.
    return WriteOptions(
        write_type=WriteType.synchronous,
        max_retries=settings.retries,
        retry_interval=_RETRY_AFTER_MS,
        max_retry_delay=_RETRY_AFTER_MAX_MS,
        max_retry_time=_ms(settings.write_timeout_s),
    )


def _retries(settings: InfluxSettings) -> Retry:
    """Make the library's retry rule for one request: its time counts from when it is made."""
    rule: Retry = _write_options(settings).to_retry_strategy()
    # A server may ask for an hour; whoever follows the ledger waits better than this thread.
    rule.respect_retry_after_header = False
    return rule


def _v1_params(params: object) -> list[tuple[str, str]]:
    """Say in the words of 1.x's /write what was meant for /api/v2/write."""
    given = msgspec.convert(params, list[tuple[str, str]])
    database, _, retention = dict(given)["bucket"].rpartition("/")
    # Always ns: 1.6 does not know "us" and silently reads it as ns.
    return [("db", database), ("rp", retention), ("precision", _NANOSECONDS)]


def _line_point(point: Point) -> LinePoint:
    line = LinePoint(point.measurement.value)
    for name, value in point.tags.items():
        line.tag(name, value)
    for name, number in point.fields.items():
        line.field(name, number)
    line.time(to_us(point.at) * 1000)
    return line


def _raise_ours(error: ApiException, what: str, points: int) -> NoReturn:
    text = influxql.refusal_text(error.body, str(error.reason))
    message = f"{what} ({error.status}): {text}"
    if error.status in _FORBIDDEN:
        raise HistoryForbidden(message) from error
    if not points or error.status not in _NEVER:
        raise HistoryUnavailable(message) from error
    # The other points of a partial write are stored, so it must not be tried again.
    known = influxql.dropped(text)
    raise HistoryRejected(message, dropped=points if known is None else known) from error


def _ms(seconds: float) -> int:
    # Never 0, which the library takes for "no limit of my own".
    return max(1, round(seconds * 1000))
