"""`algo acme-greet`."""

from __future__ import annotations

import click
from algo_core import App, pass_app
from click_option_group import optgroup


@click.command()
@click.argument("name")
@optgroup.group("Greeting", help="How NAME is greeted.")
@optgroup.option("--greeting", default="Hello", show_default=True, metavar="TEXT", help="What to say.")
@optgroup.option("--shout", is_flag=True, help="Say it in capitals.")
@pass_app
def run(app: App, name: str, greeting: str, shout: bool) -> None:
    """Greet NAME.

    \b
    Examples:
      algo acme-greet World
      algo acme-greet World --greeting Welcome --json
    """
    text = f"{greeting} {name}"
    if shout:
        text = text.upper()
    if app.output.is_json:
        app.output.json({"name": name, "text": text})
    else:
        app.output.print(text)
