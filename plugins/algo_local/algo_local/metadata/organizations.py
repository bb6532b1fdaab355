"""Organizations: accounts that own things together, their types, and the roles of their members (API section 7)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.metadata.store import insert_account
from algo_local.refusals import Invalid, Missing, Taken

if TYPE_CHECKING:
    from algo_local.metadata.accounts import Account
    from algo_local.metadata.database import Database, Rows

OWNER = "owner"
MEMBER = "member"
INVITED = "invited"
"""Asked to become a member: no more rights than before."""

ROLES = (OWNER, MEMBER, INVITED)
_COLUMNS = "o.name, a.id, o.type, o.external_id, o.attributes, a.created_at"


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization."""

    name: str
    id: str
    type_id: str
    external_id: str | None
    attributes: Mapping[str, Any]
    """Label, contact, address and the like, by the names that the API gives them."""
    created_at: float
    """Seconds since the epoch."""


class Organizations:
    """All organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def types(self) -> list[tuple[str, str]]:
        """Ids and names of the types, by name."""
        with self._database.read() as rows:
            return list(rows.execute("SELECT id, name FROM organization_types ORDER BY name"))

    def create_type(self, name: str, identifier: str | None = None) -> tuple[str, str]:
        """Make a type. Raises Taken."""
        made = (identifier or str(uuid.uuid4()), name)
        with self._database.write() as rows:
            if rows.execute("SELECT 1 FROM organization_types WHERE id = ? OR name = ?", made).fetchone():
                message = f"The organization type {name} already exists"
                raise Taken(message, ErrorCode.ORGANIZATION_TYPE_ALREADY_EXISTS)
            rows.execute("INSERT INTO organization_types VALUES (?, ?)", made)
        return made

    def delete_type(self, name: str) -> None:
        """Remove a type that no organization has.

        Raises:
            Missing: if there is none of this name.
            Invalid: if it is in use.
        """
        with self._database.write() as rows:
            found = rows.execute("SELECT id FROM organization_types WHERE name = ?", (name,)).fetchone()
            if not found:
                raise Missing(f"No organization type {name[:100]}", ErrorCode.ORGANIZATION_TYPE_NOT_FOUND)
            if rows.execute("SELECT 1 FROM organizations WHERE type = ?", found).fetchone():
                raise Invalid(f"Organizations of the type {name} exist", ErrorCode.INVALID_REQUEST)
            rows.execute("DELETE FROM organization_types WHERE id = ?", found)

    def create(
        self, name: str, type_id: str, attributes: Mapping[str, Any], external_id: str | None, owners: Sequence[str]
    ) -> Organization:
        """Make an organization with these accounts as owners.

        Raises:
            Taken: if the name or the external id is taken.
            Invalid: if there is no such type.
            RequestRefused: if an account cannot have this name.
        """
        with self._database.write() as rows:
            if rows.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone():
                raise Taken(f"The name {name} is taken", ErrorCode.ORGANIZATION_ALREADY_EXISTS)
            self._check(rows, name, type_id, external_id)
            insert_account(rows, name)
            rows.execute("UPDATE accounts SET is_organization = 1 WHERE name = ?", (name,))
            text = json.dumps(dict(attributes))
            rows.execute("INSERT INTO organizations VALUES (?, ?, ?, ?)", (name, type_id, external_id, text))
            for owner in owners:
                _set_role(rows, name, owner, OWNER)
        return self.get(name)

    def edit(
        self, organization: Organization, type_id: str, attributes: Mapping[str, Any], external_id: str | None
    ) -> None:
        """Change an organization's attributes and type, not its name. Raises as `create`."""
        with self._database.write() as rows:
            self._check(rows, organization.name, type_id, external_id)
            rows.execute(
                "UPDATE organizations SET type = ?, external_id = ?, attributes = ? WHERE name = ?",
                (type_id, external_id, json.dumps(dict(attributes)), organization.name),
            )

    def get(self, name: str) -> Organization:
        """An organization by its name. Raises Missing."""
        return self._one("o.name = ?", name)

    def by_external_id(self, identifier: str) -> Organization:
        """An organization by the id that it has elsewhere. Raises Missing."""
        return self._one("o.external_id = ?", identifier)

    def all(self) -> list[Organization]:
        """All of them, by name."""
        with self._database.read() as rows:
            return _rows(rows, "1 = 1 ORDER BY o.name")

    def members(self, organization: str) -> list[tuple[str, str]]:
        """Accounts and their roles, by name; those who are invited as well."""
        with self._database.read() as rows:
            query = "SELECT account, role FROM members WHERE organization = ? ORDER BY account"
            return list(rows.execute(query, (organization,)))

    def of(self, account: str) -> dict[str, str]:
        """The roles of an account by organization, invitations as well."""
        with self._database.read() as rows:
            return dict(rows.execute("SELECT organization, role FROM members WHERE account = ?", (account,)))

    def set_role(self, organization: str, account: Account, role: str) -> None:
        """Make an account a member, or change its role.

        Raises:
            Invalid: if the account is an organization itself, or if no owner would be left.
        """
        if account.is_organization:
            message = f"{account.name} is an organization; members are people"
            raise Invalid(message, ErrorCode.CANNOT_RESERVE_USER_FOR_ORGANIZATION)
        with self._database.write() as rows:
            if role != OWNER:
                _keep_an_owner(rows, organization, account.name)
            _set_role(rows, organization, account.name, role)

    def remove(self, organization: str, account: str) -> None:
        """End a membership or an invitation, and revoke the member's keys of the organization.

        Raises:
            Missing: if there is none.
            Invalid: if no owner would be left.
        """
        with self._database.write() as rows:
            _keep_an_owner(rows, organization, account)
            ended = rows.execute(
                "DELETE FROM members WHERE organization = ? AND account = ?", (organization, account)
            ).rowcount
            if not ended:
                raise Missing(f"{account} is not a member of {organization}", ErrorCode.USER_NOT_FOUND)
            rows.execute("DELETE FROM keys WHERE owner = ? AND username = ?", (organization, account))

    def needs(self, account: str) -> list[str]:
        """The organizations that have no other owner than this account."""
        return [
            organization
            for organization, role in self.of(account).items()
            if role == OWNER and [found for _, found in self.members(organization)].count(OWNER) == 1
        ]

    def _one(self, condition: str, value: str) -> Organization:
        with self._database.read() as rows:
            found = _rows(rows, condition, value)
        if not found:
            raise Missing(f"No organization {value[:100]}", ErrorCode.ORGANIZATION_NOT_FOUND)
        return found[0]

    def _check(self, rows: Rows, name: str, type_id: str, external_id: str | None) -> None:
        if not rows.execute("SELECT 1 FROM organization_types WHERE id = ?", (type_id,)).fetchone():
            raise Invalid(f"No organization type {type_id[:100]}", ErrorCode.ORGANIZATION_TYPE_NOT_FOUND)
        query = "SELECT 1 FROM organizations WHERE external_id = ? AND name != ?"
        if external_id is not None and rows.execute(query, (external_id, name)).fetchone():
            message = f"Another organization has the external id {external_id[:100]}"
            raise Taken(message, ErrorCode.ORGANIZATION_ALREADY_EXISTS)


def _set_role(rows: Rows, organization: str, account: str, role: str) -> None:
    conflict = "ON CONFLICT (organization, account) DO UPDATE SET role = excluded.role"
    values = (organization, account, role, time.time())
    rows.execute(f"INSERT INTO members VALUES (?, ?, ?, ?) {conflict}", values)


def _keep_an_owner(rows: Rows, organization: str, account: str) -> None:
    """Raise Invalid if an account is the only owner."""
    query = "SELECT account FROM members WHERE organization = ? AND role = ?"
    owners = [row[0].lower() for row in rows.execute(query, (organization, OWNER))]
    if owners == [account.lower()]:
        message = f"{account} is the only owner of {organization}; make another owner first"
        raise Invalid(message, ErrorCode.ORGANIZATION_REQUIRES_OWNER)


def _rows(rows: Rows, condition: str, *values: object) -> list[Organization]:
    query = f"SELECT {_COLUMNS} FROM organizations o JOIN accounts a ON a.name = o.name WHERE {condition}"
    return [
        Organization(name, identifier, type_id, external_id, json.loads(attributes), created_at)
        for name, identifier, type_id, external_id, attributes, created_at in rows.execute(query, values)
    ]
