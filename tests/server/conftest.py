"""The databases that the tests of the server run on: SQLite, and PostgreSQL where there is one."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy import text as sql

from server.database import Database, open_database
from server.upgrade import upgrade
from tests.conftest import postgres_programs
from tests.server.migrated import put_migrated

FORM = "form_of_gardien"


@contextmanager
def postgres_schema(url: str) -> Iterator[str]:
    """Make a schema of one's own; give a URL whose tables are made in it; drop it afterwards."""
    name = f"test_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql(f"CREATE SCHEMA {name}"))
    try:
        yield f"{url}&options=-csearch_path%3D{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(sql(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


def schema_of(url: str) -> str:
    """Give the name of the schema that a URL of `postgres_schema` is of."""
    return url.rpartition("%3D")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the test's own, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'gardien.db'}"
    else:
        with postgres_schema(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Database]:
    """An open database without tables."""
    with open_database(database_url) as database:
        yield database


@pytest.fixture(scope="session")
def postgres_form(postgres_url: str) -> str:
    """The newest schema as PostgreSQL tells it, in SQL, for the schema `FORM`: it takes half."""
    with postgres_schema(postgres_url) as url, open_database(url) as database:
        upgrade(database)
        name = schema_of(url)
        host = make_url(url).query["host"]
        command = [str(postgres_programs() / "pg_dump"), "--inserts", "--no-owner", "-n", name]
        told = subprocess.run(
            [*command, "-h", str(host), "-U", "gardien", "postgres"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    # Without what is said to psql, and settings of the session.
    left_out = ("--", "\\", "SET ", "SELECT pg_catalog.set_config", "CREATE SCHEMA")
    lines = [line for line in told.splitlines() if not line.startswith(left_out)]
    return "\n".join(lines).replace(name, FORM)


@pytest.fixture
def database(database_url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An open database with the newest schema."""
    if database_url.startswith("sqlite"):
        put_migrated(Path(str(make_url(database_url).database)))
    with open_database(database_url) as database:
        if not database.is_sqlite:
            form = request.getfixturevalue("postgres_form")
            with closing(database.engine.raw_connection()) as pooled:
                driver: Any = pooled.driver_connection
                driver.execute(form.replace(FORM, schema_of(database_url)))
                driver.commit()
        yield database


@dataclass
class Receiver:
    """A web server that keeps what is posted to it, and answers as it is told."""

    url: str = ""
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[bytes], int] = lambda _: 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.posts]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A web server on a free port of this machine."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = found.answer(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.posts.append((headers, body))
            self.send_response(status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()
