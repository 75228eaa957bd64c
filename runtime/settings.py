"""Read a TOML file strictly into msgspec Structs, and say in one line what is wrong with it."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from runtime.written import Between, Written, is_loopback, path_in

T = TypeVar("T", bound=msgspec.Struct)

Slug = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[a-z0-9][a-z0-9-]{0,31}\Z",
        description="1 to 32 of a-z, 0-9 and -, not starting with -, in quotes",
    ),
]
Name = Annotated[
    str,
    msgspec.Meta(
        # Printable, so that a name cannot break a line of a log or of a terminal.
        pattern=r"\A(?! )[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,80}(?<! )\Z",
        description="a text of 1 to 80 characters on one line, in quotes",
    ),
]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

_MOST_BYTES = 1_000_000
_MOST_SHOWN = 60
_SECRET = re.compile(r"password|passphrase|secret|token|key", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"//([^/@:]*):[^/]*@")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_KINDS = {str: "a text in quotes", bool: "true or false", int: "a whole number"}
_MISSING = object()


class SettingsError(ValueError):
    """A settings file cannot be used. The message is one line: file, key, value, way out."""


class RuleError(ValueError):
    """A Struct's own rule refuses its fields.

    Attributes:
        field: the setting to change, as in the file, dotted below the Struct's own table; empty for
            the table itself.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of each table of settings. Made by hand, it checks its own rules only."""


class MqttSettings(Settings, frozen=True, kw_only=True):
    """How to reach the broker: by certificate, or by a user name and a password.

    Attributes:
        host: name or IP address of the broker.
        port: TCP port; 8883 is usual with TLS, 1883 on loopback without.
        username: who we are to the broker; with `password_file`.
        password_file: a file that holds the password in its first line.
        ca_file: the certificate authority that signed the broker's certificate, PEM. With it the
            link is TLS; without it the host must be this machine.
        certificate_file: our own certificate, PEM; with `key_file`, in place of a password.
        key_file: the private key of our certificate, PEM.
    """

    host: Annotated[
        str,
        msgspec.Meta(
            pattern=r"\A[A-Za-z0-9.:_-]{1,253}\Z",
            description="a host name or an IP address, in quotes",
        ),
    ]
    port: Port
    username: Name | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse half an identity, no identity, and plain text over a network."""
        _both_or_none("username", self.username, "password_file", self.password_file)
        _both_or_none("certificate_file", self.certificate_file, "key_file", self.key_file)
        if self.certificate_file and not self.ca_file:
            raise RuleError("a certificate needs TLS; give ca_file too", field="certificate_file")
        if not self.is_tls and not is_loopback(self.host):
            raise RuleError(
                "without TLS anybody on the network could read and forge messages to the lock; "
                "give ca_file, or use a broker on this machine (127.0.0.1)",
                field="host",
            )
        if not self.username and not self.certificate_file:
            raise RuleError(
                "the broker lets nobody in without a name; give username and password_file, "
                "or ca_file, certificate_file and key_file"
            )

    @property
    def is_tls(self) -> bool:
        """Whether the link is encrypted and the broker's certificate checked."""
        return self.ca_file is not None


def load_settings(path: Path, kind: type[T]) -> T:
    """Read a settings file. Reads that one file and nothing else; blocks for the disk only.

    Args:
        path: the TOML file, at most 1 MB.
        kind: the Struct of the whole file.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or a setting in it is unknown,
            missing or not allowed.
    """
    table = _read_toml(path)
    return cast("T", _Reader(path).read(kind, table, ""))


def read_secret(path: Path) -> str:
    """Read the first line of a secret's file. Blocks for the disk.

    Raises:
        SettingsError: the file cannot be read, or its first line is empty.
    """
    try:
        secret = path.read_text(encoding="utf-8").partition("\n")[0].strip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the secret cannot be read ({_reason(error)})") from error
    if not secret:
        raise SettingsError(f"{path}: its first line is empty; write the secret there")
    return secret


def setting_keys(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Go through each setting of a Struct: its key in the file ("site.door.unlock") and field."""
    for field in fields(kind):
        key = f"{prefix}{field.encode_name}"
        inner = _item_of(_bare(field.type)) or _bare(field.type)
        if _is_struct(inner):
            yield from setting_keys(inner, f"{key}.")
        else:
            yield key, field


class _Reader:
    """Reads one file's values into their kinds and knows where each of them stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.absolute().parent

    def read(self, kind: Any, value: object, key: str) -> object:  # noqa: ANN401 (any type)
        bare, item = _bare(kind), _item_of(_bare(kind))
        if _is_struct(bare):
            return self._table(bare, value, key)
        if item is not None:
            return self._list(item, value, key)
        try:
            return self._value(kind, bare, value)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise self._error(key, value, str(error)) from error

    def _value(self, kind: Any, bare: Any, value: object) -> object:  # noqa: ANN401 (any type)
        if bare is Path:
            return path_in(self._folder, value)
        if isinstance(bare, type) and issubclass(bare, Written):
            return _parse(kind, bare, value, self._folder)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ValueError(f"write {describe(kind)}") from error

    def _table(self, kind: type[msgspec.Struct], value: object, key: str) -> msgspec.Struct:
        if not isinstance(value, dict):
            raise self._error(key, value, f"write a table, [{key}]")
        known = {field.encode_name: field for field in fields(kind)}
        for name in value:
            if name not in known:
                raise self._error(_join(key, name), value[name], _unknown(name, known))
        found = {field.name: self._field(field, value, key) for field in known.values()}
        try:
            return kind(**{name: part for name, part in found.items() if part is not _MISSING})
        except RuleError as error:
            place = ".".join(part for part in (key, error.field) if part)
            inner = _dig(value, error.field) if error.field else _MISSING
            raise self._error(place, inner, str(error)) from error

    def _field(self, field: FieldInfo, table: dict[str, object], key: str) -> object:
        place = _join(key, field.encode_name)
        if field.encode_name in table:
            return self.read(field.type, table[field.encode_name], place)
        if field.required:
            raise self._error(place, _MISSING, f"is missing; write {describe(field.type)}")
        return _MISSING

    def _list(self, item: Any, value: object, key: str) -> tuple[object, ...]:  # noqa: ANN401
        if not isinstance(value, list):
            raise self._error(key, value, f"write a list in [ ], each {describe(item)}")
        return tuple(
            self.read(item, part, f"{key}[{_label(part, number)}]")
            for number, part in enumerate(value, start=1)
        )

    def _error(self, key: str, value: object, text: str) -> SettingsError:
        place = key or "the file"
        shown = "" if value is _MISSING else f" = {_shown(key, value)}"
        return SettingsError(f"{self._path}: {place}{shown}: {text}")


def describe(kind: Any) -> str:  # noqa: ANN401 (any type)
    """Say in words what may be written for a setting of this kind."""
    metas = [meta for meta in _annotations(kind) if isinstance(meta, msgspec.Meta)]
    bare = _bare(kind)
    for meta in metas:
        if meta.description:
            return meta.description
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(json.dumps(choice) for choice in get_args(bare))
    if isinstance(bare, type) and issubclass(bare, Written):
        return ", ".join([bare.allowed, *_bounds(kind)])
    if _is_struct(bare):
        return "a table"
    if (item := _item_of(bare)) is not None:
        return f"a list in [ ], each {describe(item)}"
    return _KINDS.get(bare, "the path of a file, in quotes") + "".join(map(_range, metas))


def _bounds(kind: Any) -> list[str]:  # noqa: ANN401 (any type)
    return [str(bound) for bound in _annotations(kind) if isinstance(bound, Between)]


def _range(meta: msgspec.Meta) -> str:
    low = "" if meta.ge is None else f" from {meta.ge}"
    return low + ("" if meta.le is None else f" to {meta.le}")


def _parse(kind: Any, bare: type[Written], value: object, folder: Path) -> Written:  # noqa: ANN401
    parsed = bare.parse(value, folder)
    for bound in _annotations(kind):
        if isinstance(bound, Between):
            bound.check(cast("Any", parsed))
    return parsed


def _annotations(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any type)
    if get_origin(kind) in (Union, UnionType):
        return sum((_annotations(part) for part in get_args(kind)), ())
    return get_args(kind)[1:] if get_origin(kind) is Annotated else ()


def _bare(kind: Any) -> Any:  # noqa: ANN401 (any type)
    """Take `| None` and `Annotated` away."""
    if get_origin(kind) in (Union, UnionType):
        return _bare(next(part for part in get_args(kind) if part is not NoneType))
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _item_of(kind: Any) -> Any:  # noqa: ANN401 (any type)
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _is_struct(kind: Any) -> bool:  # noqa: ANN401 (any type)
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({_reason(error)}); check the path") from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError(f"{path}: is larger than {_MOST_BYTES} bytes; is it the right file?")
    try:
        return tomllib.loads(raw.decode("utf-8"), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SettingsError(f"{path}: is not TOML ({reason}); correct it there") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not a text"


def _unknown(name: str, known: dict[str, FieldInfo]) -> str:
    if f"{name}_file" in known:
        return f"secrets are not written here; put it in a file and give {name}_file"
    return f"is not a setting; allowed here: {', '.join(sorted(known))}; correct or remove it"


def _both_or_none(one: str, first: object, other: str, second: object) -> None:
    if (first is None) != (second is None):
        given, missing = (one, other) if second is None else (other, one)
        raise RuleError(f"needs {missing} too; give both or neither", field=given)


def _join(key: str, name: str) -> str:
    part = name if _BARE_KEY.fullmatch(name) else json.dumps(name)[:_MOST_SHOWN]
    return f"{key}.{part}" if key else part


def _dig(table: object, key: str) -> object:
    for name in key.split("."):
        table = table.get(name, _MISSING) if isinstance(table, dict) else _MISSING
    return table


def _label(part: object, number: int) -> str:
    """Name an entry of a list by its id where it has one, else by its place from 1."""
    found = part.get("id") if isinstance(part, dict) else None
    return json.dumps(found)[:_MOST_SHOWN] if isinstance(found, str) else str(number)


def _shown(key: str, value: object) -> str:
    if _is_secret(key.rpartition(".")[2]):
        return "(not shown)"
    if isinstance(value, str):
        masked = _PASSWORD_IN_URL.sub(r"//\1:(not shown)@", value)
        # Escaped, so that a value cannot break the line or colour the terminal.
        text = json.dumps(masked)
        return text if len(text) <= _MOST_SHOWN else f'{text[:_MOST_SHOWN]}..."'
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > _MOST_SHOWN:
        return "a very large number"  # str() itself refuses beyond 4,300 digits
    return (value.isoformat() if isinstance(value, date | time) else str(value))[:_MOST_SHOWN]


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and not name.endswith("_file")
