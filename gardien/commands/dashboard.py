"""`gardien dashboard`: run the web pages."""

import click

from dashboards.program import run
from gardien.call import examples, this_call
from gardien.demo.panel import panel_of
from gardien.opening import open_installation
from gardien.programs import told_to_stop


@click.command(epilog=examples("gardien --data /srv/gardien dashboard"))
def command() -> None:
    """Run the web pages, where [dashboard] in gardien.toml says.

    Runs until Ctrl-C or SIGTERM.
    """
    call = this_call()
    call.log("INFO")
    with told_to_stop() as stop, open_installation(call.data) as installation:
        demo = panel_of(installation.folder, installation.settings.language)
        run(installation, stop, demo=demo)
