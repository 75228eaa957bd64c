"""`gardien demo`: a whole site on this machine, playing a day in fast motion."""

import click
from rich.console import Console

from gardien.call import examples, this_call
from gardien.demo.program import Options, run
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.programs import told_to_stop


@click.command(
    epilog=examples("gardien demo", "gardien demo --days 2 --exit", "gardien demo --language en")
)
@click.option("--days", type=click.IntRange(1, 31), default=1, show_default=True, help="To play.")
@click.option("--exit", "must_exit", is_flag=True, help="Leave after the last day.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8080,
    show_default=True,
    help="Of the dashboard; the next free one if it is in use.",
)
@click.option(
    "--broker",
    type=click.Choice(["auto", "mosquitto", "amqtt"]),
    default="auto",
    show_default=True,
    help="Which program runs the broker; auto takes mosquitto where it is installed.",
)
@LANGUAGE_OPTION
def command(*, days: int, must_exit: bool, port: int, broker: str, language: str | None) -> None:
    """Run a whole site on this machine, and play a day in fast motion.

    Starts a broker, the server, two doors on emulated hardware and the dashboard; 148 members with
    made-up names come and go; a guardian opens the evening. It is a Tuesday. Prints where to look
    and how to log in, goes on until Ctrl-C, and leaves no process behind.

    The folder that --data names is made anew each time; one that holds an installation of your own
    is refused.
    """
    options = Options(
        data=this_call().data,
        days=days,
        must_exit=must_exit,
        port=port,
        language=chosen_language(language, of_settings="fr"),
        broker=broker,
    )
    with told_to_stop() as stop:
        run(options, stop, Console())
