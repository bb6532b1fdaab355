"""Accounts: of people, and of organizations with their members (API section 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.metadata.store import insert_account
from algo_local.refusals import Invalid, Missing, Taken

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

PROFILE = ("email", "fullname", "company_name", "company_role")
"""What a person's account says about them."""

EMAIL = re.compile(r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+[.][a-zA-Z]{2,6}", re.ASCII)
_COLUMNS = "name, id, is_organization, is_administrator, email, fullname, company_name, company_role"


@dataclass(frozen=True, slots=True)
class Account:
    """An account."""

    name: str
    id: str
    is_organization: bool
    is_administrator: bool
    """Whether it may use the rights of an administrator of the platform."""
    email: str
    fullname: str
    company_name: str
    company_role: str


class Accounts:
    """The accounts of people and organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name_or_id: str) -> Account | None:
        """An account by its name, in any case, or by its id; None if there is none."""
        condition = "id = ?" if "-" in name_or_id else "name = ?"
        with self._database.read() as rows:
            found = _rows(rows, condition, name_or_id.lower() if "-" in name_or_id else name_or_id)
        return found[0] if found else None

    def get(self, name_or_id: str) -> Account:
        """As `find`. Raises Missing."""
        found = self.find(name_or_id)
        if not found:
            raise Missing(f"No account {name_or_id[:100]}", ErrorCode.USER_NOT_FOUND)
        return found

    def people(self) -> list[Account]:
        """The accounts that are no organization's, in the order of their names."""
        with self._database.read() as rows:
            return _rows(rows, "is_organization = 0 ORDER BY name")

    def create(self, name: str, profile: Mapping[str, str], *, is_administrator: bool = False) -> Account:
        """Make the account of a person.

        Raises:
            Taken: if the name is taken, or the e-mail address.
            RequestRefused: if an account cannot have this name.
        """
        with self._database.write() as rows:
            if _rows(rows, "name = ?", name):
                raise Taken(f"The name {name} is taken", ErrorCode.USERNAME_HAS_BEEN_TAKEN)
            email = profile.get("email", "")
            if email and _rows(rows, "lower(email) = lower(?)", email):
                raise Taken(f"The e-mail address {email} is taken", ErrorCode.EMAIL_ADDRESS_HAS_BEEN_TAKEN)
            insert_account(rows, name)
            _set_profile(rows, name, profile)
            rows.execute("UPDATE accounts SET is_administrator = ? WHERE name = ?", (is_administrator, name))
            return _rows(rows, "name = ?", name)[0]

    def edit(self, account: Account, profile: Mapping[str, str]) -> Account:
        """Change what an account says about its person; the e-mail address stays once there is one.

        Raises:
            Invalid: if it would not.
        """
        if account.email and profile.get("email", account.email) != account.email:
            raise Invalid("The e-mail address of an account cannot be changed", ErrorCode.UPDATING_EMAIL_NOT_ALLOWED)
        with self._database.write() as rows:
            _set_profile(rows, account.name, profile)
            return _rows(rows, "name = ?", account.name)[0]

    def set_administrator(self, name: str, is_administrator: bool = True) -> None:
        """Give an account an administrator's rights, which it still has to ask for, or take them."""
        with self._database.write() as rows:
            rows.execute("UPDATE accounts SET is_administrator = ? WHERE name = ?", (is_administrator, name))

    def forget(self, account: Account) -> None:
        """Remove an account that owns nothing any more, with all rows that only say something about it."""
        with self._database.write() as rows:
            for table, column in (
                ("keys", "owner"),
                ("keys", "username"),
                ("members", "account"),
                ("members", "organization"),
                ("organizations", "name"),
                ("notifications", "account"),
                ("event_listeners", "owner"),
                ("reservations", "calling_user"),
                ("features", "account"),
                ("accounts", "name"),
            ):
                rows.execute(f"DELETE FROM {table} WHERE lower({column}) = lower(?)", (account.name,))


def _set_profile(rows: Rows, name: str, profile: Mapping[str, str]) -> None:
    for column in PROFILE:
        if column in profile:
            rows.execute(f"UPDATE accounts SET {column} = ? WHERE name = ?", (profile[column], name))


def _rows(rows: Rows, condition: str, *values: object) -> list[Account]:
    found: list[Any] = rows.execute(f"SELECT {_COLUMNS} FROM accounts WHERE {condition}", values).fetchall()
    return [Account(name, id, bool(group), bool(admin), *profile) for name, id, group, admin, *profile in found]
