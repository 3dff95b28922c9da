"""Who asks: the user of the request that is being served, with roles and factors of the login.

MLflow's store is called in the thread of its request, so Flask's request context is at hand. A
caller without a request (a job, a client with the database's address) is nobody: he has no role.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from hardgate.errors import HardgateError
from hardgate.registry import rules

SIGNED_ON = "hardgate_signed_on"  # where single sign-on leaves its caller, in flask.g
# What a login can rest on, by the words of RFC 8176: what somebody knows, has, or is.
KINDS = (
    frozenset({"pwd", "pin", "kba"}),
    frozenset({"otp", "hwk", "swk", "sms", "tel", "sc"}),
    frozenset({"fpt", "face", "iris", "retina", "vbm"}),
)


@dataclass(frozen=True)
class Caller:
    """A user of the registry."""

    name: str
    roles: frozenset[str] = frozenset()
    factors: frozenset[str] = frozenset()  # how he logged in: ``amr`` of RFC 8176

    @property
    def second_factor(self) -> bool:
        """Whether the login rested on two kinds of proof, or the provider says so (``mfa``)."""
        return "mfa" in self.factors or sum(bool(self.factors & kind) for kind in KINDS) > 1


NOBODY = Caller("nobody")  # outside of a server's request
ANONYMOUS = Caller("anonymous")


def current() -> Caller:
    """Name the caller of this moment."""
    from flask import g, has_request_context

    if not has_request_context():
        return NOBODY
    name = getattr(g, "mlflow_authenticated_user", None)
    auth: Any = sys.modules.get("mlflow.server.auth")
    if not name or auth is None or not auth.is_auth_enabled():
        return ANONYMOUS
    found = getattr(g, "hardgate_caller", None)
    if found is None or found.name != name:
        found = getattr(g, SIGNED_ON, None) or Caller(name, _held(auth, name))
        g.hardgate_caller = found
    return found


def _held(auth: Any, name: str) -> frozenset[str]:
    try:
        return rules.load().roles_of(name, _roles(auth, name))
    except HardgateError:
        return frozenset()  # the refusal that follows says that the rules cannot be read


def _roles(auth: Any, name: str) -> frozenset[str]:
    from mlflow.utils.workspace_context import get_request_workspace
    from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

    workspace = get_request_workspace() or DEFAULT_WORKSPACE_NAME
    user = auth.store.get_user(name)
    return frozenset(
        role.name for role in auth.store.list_user_roles_for_workspace(user.id, workspace)
    )
