"""Describe the API from its table. OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0."""

import importlib.metadata
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from dashboards.api_once import HEADER
from dashboards.api_operations import Operation
from dashboards.api_problems import MIMETYPE, ProblemReport
from dashboards.guard import Who
from server.api_requests import MOST_KEY
from server.api_tokens import OF_MEMBERS

_TEMPLATE: Final = "#/components/schemas/{name}"
_FIELD: Final = re.compile(r"^`(\w+)`: (.*)$", re.MULTILINE)
_SITE: Final = {
    "name": "site",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "id of the site; the caller's first one if it is left out",
}
_KEY: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_KEY},
    "description": "with the same key the same request is done once a day at the most",
}
_SECURITY: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "made by `gardien token create`; the scopes stand with each operation",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "gardien"},
}
_OF_ANY: Final = (400, 401, 403, 404, 429, 500, 503)
_OF_ANYONE: Final = (500,)
_OF_BODY: Final = (413, 415)


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Describe operations, as JSON values."""
    kinds = [ProblemReport, *_kinds(operations)]
    refs, schemas = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
    schema_of = dict(zip(kinds, refs, strict=True))
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gardien",
            "version": importlib.metadata.version("gardien"),
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


def _kinds(operations: Iterable[Operation]) -> list[type]:
    found = [kind for one in operations for kind in (one.answer, one.body) if kind is not None]
    return list(dict.fromkeys(found))


def _operation(one: Operation, schema_of: dict[type, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "description": _told(one),
        "parameters": list(_parameters(one)),
        "security": _security(one),
        "responses": _responses(one, schema_of),
    }
    if one.body is not None:
        content = {"application/json": {"schema": schema_of[one.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _told(one: Operation) -> str:
    """Say who may call it."""
    if one.who is Who.ANYONE:
        return "For anyone, without a log-in."
    scope = "any scope" if one.scope is None else f"the scope `{one.scope.value}`"
    acts = " of a member" if one.scope in OF_MEMBERS else ""
    return f"With a token{acts} that has {scope}. For: {one.who.value}."


def _security(one: Operation) -> list[dict[str, list[str]]]:
    if one.who is Who.ANYONE:
        return []
    scopes = [] if one.scope is None else [one.scope.value]
    found: list[dict[str, list[str]]] = [{"token": scopes}, {"session": []}]
    return [{}, *found] if one.who is Who.HALL else found


def _parameters(one: Operation) -> Iterator[dict[str, Any]]:
    if one.of_site:
        yield _SITE
    for name, kind in one.path_parts:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": kind}}
    if one.query is not None:
        yield from _query(one.query)
    if one.is_once:
        yield _KEY


def _query(kind: type[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    told = dict(_FIELD.findall(inspect.cleandoc(kind.__doc__ or "")))
    for name, field in schema["properties"].items():
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(field),
            "description": told[name],
        }


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Leave out null, which nothing in a query can be."""
    found = [part for part in field.get("anyOf", ()) if part.get("type") != "null"]
    return dict(found[0]) if found else field


def _responses(one: Operation, schema_of: dict[type, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": HTTPStatus(one.status).phrase}
    if one.answer is not None:
        done["content"] = {"application/json": {"schema": schema_of[one.answer]}}
    statuses = {*(_OF_ANYONE if one.who is Who.ANYONE else _OF_ANY), *one.refusals}
    statuses.update(() if one.body is None else _OF_BODY)
    problem = {MIMETYPE: {"schema": schema_of[ProblemReport]}}
    refusals = {
        str(status): {"description": HTTPStatus(status).phrase, "content": problem}
        for status in sorted(statuses)
    }
    return {str(one.status): done} | refusals
