"""`algo acme`: logging in and out. Other distributions of Acme add commands below it."""

from __future__ import annotations

from contextlib import closing

import click

from acme_bundle.company import company
from acme_bundle.session import SessionFile
from acme_bundle.sso import Provider, wait
from algo_core import App, pass_app
from algo_core.errors import AlgoError


@click.command()
@pass_app
def login(app: App) -> None:
    """Log in to Acme's platform and archive, in a browser on any machine.

    \b
    Example:
      algo acme login
    """
    found = company(app)
    with closing(Provider(app, found)) as provider:
        code = provider.device_code()
        if app.output.is_json:
            app.output.tell(
                login={"address": code.address, "code": code.user_code, "complete_address": code.complete_address}
            )
        else:
            app.output.log(f"Open {code.address} and confirm the code {code.user_code}")
            if code.complete_address:
                app.output.log(f"or open {code.complete_address}")
        SessionFile(found.session_file).write(wait(lambda: provider.redeem(code), code))
    if app.output.is_json:
        app.output.json({"address": found.address, "issuer": found.issuer})
    else:
        app.output.print(f"Logged in to {found.address}")


@click.command()
@pass_app
def logout(app: App) -> None:
    """End the log-in on this machine, and tell the provider.

    \b
    Example:
      algo acme logout
    """
    found = company(app)
    file = SessionFile(found.session_file)
    session = file.read()
    file.forget()
    if session and session.refresh_token:
        try:
            with closing(Provider(app, found)) as provider:
                provider.revoke(session.refresh_token)
        except AlgoError as error:
            app.output.warn(f"The provider was not told: {error.message}")
    if app.output.is_json:
        app.output.json({"was_logged_in": session is not None})
    else:
        app.output.print("Logged out" if session else "Nobody was logged in")
