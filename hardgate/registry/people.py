"""Users and roles of the MLflow server, over its REST interface.

MLflow's permissions say who may read and change what; none of them says who may approve. The role
of an approver is therefore a name that the gated store asks for, and permissions are given to the
roles so that the UI offers each person what he may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import requests

from hardgate.errors import ParamsError, UnavailableError
from hardgate.registry.rules import APPROVER, GATE, SUBMITTER, WATCHER

KEY_HEADER: Final = "X-Hardgate-Accounts"  # who changes an account with a role knows the key
WORKSPACE: Final = "default"
TIMEOUT: Final = 30.0  # seconds
SHORTEST: Final = 12  # characters of a password, as MLflow wants it

# What each role may do: resource type and permission, for every resource of the type. Deleting an
# alias is MANAGE in MLflow's words.
ROLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    SUBMITTER: (("experiment", "READ"), ("registered_model", "READ")),
    GATE: (("experiment", "EDIT"), ("registered_model", "EDIT")),
    APPROVER: (("experiment", "READ"), ("registered_model", "MANAGE")),
    WATCHER: (("experiment", "READ"), ("registered_model", "MANAGE")),
}


class Server:
    """A running MLflow server, as its administrator sees it."""

    def __init__(self, url: str, *, user: str, password: str, key: str = "") -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = (user, password)
        self._session.headers[KEY_HEADER] = key

    def make_roles(self) -> None:
        """Make the three roles with their permissions, where they are missing."""
        known = {role["name"]: role for role in self._roles()}
        for name, permissions in ROLES.items():
            role = (
                known.get(name)
                or self._post("3.0/mlflow/roles/create", name=name, workspace=WORKSPACE)["role"]
            )
            held = {
                (each["resource_type"], each["permission"])
                for each in self._get("3.0/mlflow/roles/permissions/list", role_id=role["id"])[
                    "role_permissions"
                ]
            }
            for kind, permission in permissions:
                if (kind, permission) not in held:
                    self._post(
                        "3.0/mlflow/roles/permissions/add",
                        role_id=role["id"],
                        resource_type=kind,
                        resource_pattern="*",
                        permission=permission,
                    )

    def add(self, name: str, password: str, role: str) -> None:
        """Add a user with a role; a user who is there already gets the password and the role.

        Raises
        ------
        ParamsError
            If the role is none of ours, or the password too short.
        UnavailableError
            If the server does not do as asked.
        """
        if role not in ROLES:
            raise ParamsError(f"--role {role}: expected one of {', '.join(ROLES)}")
        if len(password) < SHORTEST:
            raise ParamsError(f"the password has fewer than {SHORTEST} characters")
        if self._exists(name):
            self._send(
                "PATCH", "2.0/mlflow/users/update-password", username=name, password=password
            )
        else:
            self._post("2.0/mlflow/users/create", username=name, password=password)
        held = self._get("3.0/mlflow/users/roles/list", username=name)["roles"]
        known = {each["name"]: each["id"] for each in self._roles()}
        for other in (each for each in held if each["name"] in ROLES and each["name"] != role):
            self._send("DELETE", "3.0/mlflow/roles/unassign", username=name, role_id=other["id"])
        if role not in {each["name"] for each in held}:
            self._post("3.0/mlflow/roles/assign", username=name, role_id=known[role])

    def remove(self, name: str) -> None:
        """Delete a user.

        Raises
        ------
        UnavailableError
            If the server does not do as asked, or knows no such user.
        """
        self._send("DELETE", "2.0/mlflow/users/delete", username=name)

    def make_model(self, name: str) -> None:
        """Make a model and its experiment, so that nobody else owns them first."""
        for path in ("experiments", "registered-models"):
            answer = self._ask("POST", f"2.0/mlflow/{path}/create", {"name": name})
            if "RESOURCE_ALREADY_EXISTS" not in answer.text:
                self._checked(answer)

    def subscribe(self, url: str, secret: str) -> None:
        """Let the server tell ``url`` about aliases, in place of an earlier address."""
        for each in self._get("2.0/mlflow/webhooks").get("webhooks", ()):
            if each["name"] == WATCHER:
                self._send("DELETE", f"2.0/mlflow/webhooks/{each['webhook_id']}")
        self._post(
            "2.0/mlflow/webhooks",
            name=WATCHER,
            url=url,
            events=[
                {"entity": "MODEL_VERSION_ALIAS", "action": action}
                for action in ("CREATED", "DELETED")
            ],
            secret=secret,
            status="ACTIVE",
        )

    def _exists(self, name: str) -> bool:
        answer = self._ask("GET", "2.0/mlflow/users/get", {"username": name})
        return bool(answer.status_code == requests.codes.ok)

    def _roles(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("3.0/mlflow/roles/list", workspace=WORKSPACE)[
            "roles"
        ]
        return found

    def _get(self, path: str, **fields: Any) -> Any:
        return self._checked(self._ask("GET", path, fields))

    def _post(self, path: str, **fields: Any) -> Any:
        return self._send("POST", path, **fields)

    def _send(self, verb: str, path: str, **fields: Any) -> Any:
        return self._checked(self._ask(verb, path, fields))

    def _ask(self, verb: str, path: str, fields: Mapping[str, Any]) -> requests.Response:
        where: dict[str, Any] = {"params" if verb == "GET" else "json": dict(fields)}
        try:
            return self._session.request(verb, f"{self.url}/api/{path}", timeout=TIMEOUT, **where)
        except requests.RequestException as error:
            raise UnavailableError(
                f"the MLflow server at {self.url} does not answer ({type(error).__name__}); "
                "start it with hardgate up"
            ) from error

    def _checked(self, answer: requests.Response) -> Any:
        if not answer.ok:
            path = answer.request.path_url.partition("?")[0]
            raise UnavailableError(
                f"the MLflow server at {self.url} answered {answer.status_code} to {path}: "
                f"{answer.text[:300]}"
            )
        return answer.json() if answer.content else {}
