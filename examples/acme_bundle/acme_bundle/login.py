"""The access token of the log-in, renewed when it must be."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from acme_bundle.company import Company
from acme_bundle.session import Session, SessionFile
from algo_core import App
from algo_core.settings.credentials import Secret


def current_session(environ: Mapping[str, str], company: Company, refused: Secret | None = None) -> Session | None:
    """The session on this machine; None if nobody is logged in, or the provider has ended it.

    Raises:
        AlgoError: if the session's file cannot be used, or the provider not be asked.
    """

    def refresh(token: Secret) -> Session | None:
        from acme_bundle.sso import Provider

        with closing(Provider(App(environ), company)) as provider:
            return provider.refresh(token)

    return SessionFile(company.session_file).usable(refresh, refused)
