"""A real Chromium on real pages."""

import importlib.util
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from waitress.server import create_server

OUT = Path(__file__).parents[1] / "out"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


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


world = _dashboards()
quiet_folder, busy_folder = world.quiet_folder, world.busy_folder
place, quiet_place = world.place, world.quiet_place


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application on a free port, as the program does."""
    server = create_server(
        app, host="127.0.0.1", port=0, threads=16, ident=None, channel_request_lookahead=1
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with world.hub_of(app):
            yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.task_dispatcher.shutdown()
        server.close()
        thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()


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
def shoot() -> Callable[[Page, str], None]:
    """Keep a picture of a page in `tests/out`."""
    OUT.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=OUT / f"{name}.png", full_page=True) and None
