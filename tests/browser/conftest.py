"""A real Chromium on real pages."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from dashboards.app import hub_of
from dashboards.server_waitress import served

OUT = Path(__file__).parents[1] / "out"


def _dashboards() -> ModuleType:
    """The conftest of the dashboard's own tests: test folders are no packages."""
    name = "gardien_tests_dashboards"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "dashboards" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_world = _dashboards()
quiet_folder, busy_folder = _world.quiet_folder, _world.busy_folder
place, quiet_place = _world.place, _world.quiet_place


@pytest.fixture(scope="session")
def world() -> ModuleType:
    """What the dashboard's own tests build their places with."""
    return _world


@contextmanager
def on_a_free_port(app: Flask) -> Iterator[str]:
    """Serve an application as the program does."""
    with served(app, host="127.0.0.1", port=0, threads=16) as port, hub_of(app):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(on_a_free_port(app))


class Errors(list[str]):
    """What the browser's console complained about."""

    def listen(self, page: Page) -> None:
        page.on("console", lambda said: self.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.append(str(error)))


@pytest.fixture
def new_page(chromium: Browser, serve: object) -> Iterator[Callable[..., Page]]:
    """Open pages whose console must stay silent; they are closed before what serves them."""
    del serve
    errors = Errors()
    with ExitStack() as stack:

        def open_page(
            language: str = "fr-FR", width: int = 1280, height: int = 860, scheme: str = "light"
        ) -> Page:
            context = stack.enter_context(
                chromium.new_context(
                    locale=language,
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
            )
            page = context.new_page()
            errors.listen(page)
            return page

        yield open_page
    assert errors == []


@pytest.fixture
def out() -> Path:
    """Where pictures of the pages are kept; not in git."""
    OUT.mkdir(exist_ok=True)
    return OUT


@pytest.fixture
def shoot(out: Path) -> Callable[[Page, str], None]:
    """Keep a picture of a page in `tests/out`."""

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=out / f"{name}.png", full_page=True)

    return keep
