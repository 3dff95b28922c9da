"""Single sign-on: bearer tokens of an OpenID Connect provider, beside basic auth for services.

MLflow asks ``authorization_function`` of its basic-auth application for the user of each request. A
token (``Authorization: Bearer ...``, or the header that a proxy such as oauth2-proxy sets) is
verified against the provider's published keys (JWKS): signature, issuer, audience and time. Its
claims say which of our roles the user has and how he logged in (``amr``, RFC 8176).

A user who comes the first time is made on the spot, with a password that nobody knows. A token can
never name an account that logs in with a password (the administrator, services, whoever ``hardgate
user add`` made): who may choose his name at the provider would choose theirs.

The provider is described by a JSON file (:class:`Provider`) that the environment variable
``HARDGATE_SSO`` names, absolute or relative to the project; ``hardgate up`` hands it on::

    {"issuer": "https://login.example.org", "audience": "mlflow",
     "jwks_url": "https://login.example.org/keys",
     "roles": {"ml-release": "release-manager", "ml-science": "data-scientist"}}
"""

from __future__ import annotations

import hmac
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from flask import Response, after_this_request, g, request
from pydantic import Field, model_validator
from werkzeug.datastructures import Authorization

from hardgate import records
from hardgate.errors import HardgateError
from hardgate.records import Record
from hardgate.registry import identity, rules
from hardgate.registry.identity import Caller
from hardgate.registry.people import KEY_HEADER, ROLES, WORKSPACE
from hardgate.spelling import fold

VARIABLE: Final = "HARDGATE_SSO"
BEARER: Final = "bearer"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
ACCOUNTS: Final = re.compile(r"/users/(create|create-ui|update-password|update-admin|delete)$")
ASSISTANT: Final = "/mlflow/assistant"  # who may ask it reads the server's keys
KEPT: Final = 300.0  # seconds until the provider's keys are read again, dropped ones too
LONGEST: Final = 255  # characters of a name in MLflow's tables
ATTEMPTS: Final = 5  # to give somebody his roles while his other requests do the same
# Signatures with public keys alone: with a shared secret, whoever verifies could sign as well.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384", "EdDSA")


class Provider(Record):
    """The provider and how its claims are read."""

    issuer: str
    audience: str
    jwks_url: str
    user_claim: str = "preferred_username"
    roles_claim: str = "groups"
    roles: dict[str, str] = Field(default_factory=dict)  # a value of that claim: our role
    header: str | None = None  # where a proxy puts the token, such as X-Forwarded-Access-Token
    leeway: int = Field(30, ge=0)  # seconds that clocks may differ

    @model_validator(mode="after")
    def _is_safe(self) -> Provider:
        parts = urlsplit(self.jwks_url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise ValueError("jwks_url: keys that come without https could be anybody's")
        if odd := sorted(set(self.roles.values()) - set(ROLES)):
            raise ValueError(f"roles: expected {', '.join(ROLES)}, found {', '.join(odd)}")
        return self


def authenticate() -> Authorization | Response:
    """Name the user of a request, by token or by password."""
    from mlflow.server import auth

    if ASSISTANT in request.path:
        return _answer(403, "MLflow's assistant is off here: it runs commands on the server.")
    if _touches_a_role():
        return _answer(403, "This account has a role: change it with hardgate user add or remove.")
    after_this_request(_in_words)
    provider = configured(os.environ.get("HARDGATE_SSO"))
    token = _token(provider)
    if provider is None or token is None:
        if request.authorization is not None and request.authorization.type != "basic":
            return _answer(401, "This server takes no tokens. Log in with a password.")
        by_password: Authorization | Response = auth.authenticate_request_basic_auth()
        return by_password
    known = getattr(g, identity.SIGNED_ON, None)
    if known is not None:  # MLflow asks several times in one request
        return Authorization("basic", {"username": known.name, "password": ""})
    try:
        caller = read(token, provider)
        _provide(auth, caller)
    except jwt.PyJWKClientConnectionError:
        return _answer(503, "The keys of the login's provider cannot be read. Try again later.")
    except HardgateError as error:
        return _answer(503, f"This server's rules cannot be read: {error}")
    except (jwt.PyJWTError, ValueError) as error:
        return _answer(401, f"The token was not accepted: {error}. Log in again.")
    setattr(g, identity.SIGNED_ON, caller)
    return Authorization("basic", {"username": caller.name, "password": ""})


def _answer(status: int, words: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(words, status, headers, content_type="text/plain")


def _touches_a_role() -> bool:
    """Tell whether a request would change an account that holds a role, without the key for it.

    MLflow's administrator could else give himself somebody's password, and with it his role.
    """
    if not ACCOUNTS.search(request.path.rstrip("/")):
        return False
    key = os.environ.get("HARDGATE_ACCOUNTS", "")
    if key and hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), key.encode()):
        return False
    body = request.get_json(force=True, silent=True)
    fields = (request.args, request.form, body if isinstance(body, dict) else {})
    named = {fold(str(each["username"])) for each in fields if "username" in each}
    try:
        people = rules.load().people
    except HardgateError:
        return True
    return bool(named & {fold(name) for name in people})


def _in_words(response: Response) -> Response:
    """Spell MLflow's own refusal as its errors are spelled, or its dialogs show a code."""
    if response.status_code == 403 and not response.is_json:
        name = getattr(g, "mlflow_authenticated_user", None) or "nobody"
        words = (
            f"Permission denied: user {name!r} does not hold a role that may do this; approving "
            f"takes the role {rules.APPROVER}."
        )
        error = {"error_code": "PERMISSION_DENIED", "message": words}
        response.set_data(json.dumps(error))
        response.content_type = "application/json"
    return response


@cache
def configured(place: str | None) -> Provider | None:
    """Read the provider's file; None where none is named."""
    return records.read(Provider, Path(place)) if place else None


@cache
def _keys(url: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(url, lifespan=KEPT, timeout=10)


def read(token: str, provider: Provider) -> Caller:
    """Verify a token and read the caller from its claims.

    Raises
    ------
    jwt.PyJWTError
        If the signature, the issuer, the audience or the time is not right.
    ValueError
        If the claim that names the user is missing or no name.
    """
    key = _keys(provider.jwks_url).get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=list(ALGORITHMS),
        audience=provider.audience,
        issuer=provider.issuer,
        leeway=provider.leeway,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    name = claims.get(provider.user_claim)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
        raise ValueError(f"it has no claim {provider.user_claim!r}")
    if not name.isprintable() or name != name.strip():
        raise ValueError(f"its name {name!r} holds characters that nobody sees")
    groups = _listed(claims.get(provider.roles_claim))
    roles = {provider.roles[group] for group in groups if group in provider.roles}
    return Caller(name, frozenset(roles), frozenset(_listed(claims.get("amr"))))


def _listed(claim: Any) -> list[str]:
    if isinstance(claim, str):
        return [claim]
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []


def _token(provider: Provider | None) -> str | None:
    if provider is None:
        return None
    said = request.headers.get("Authorization", "")
    scheme, _, token = said.partition(" ")
    if scheme.lower() == BEARER:
        return token.strip()
    return (request.headers.get(provider.header) if provider.header else None) or None


def _password(name: str) -> str:
    """Give the password of an account that a token made: nobody knows it, and it tells them apart.

    An account with another password was made, or taken over, by somebody.
    """
    key = os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"].encode()
    return hmac.new(key, f"signed on: {name}".encode(), "sha256").hexdigest()


def _provide(auth: Any, caller: Caller) -> None:
    """Give MLflow's own tables the user and his roles, for the permissions they carry.

    Raises
    ------
    ValueError
        If the name is that of an account with a password.
    """
    from mlflow.exceptions import MlflowException

    taken = ValueError(f"{caller.name!r} is an account with a password, not one of the provider")
    password = _password(caller.name)
    if not auth.store.has_user(caller.name):
        others = (*rules.load().people, *(user.username for user in auth.store.list_users()))
        if fold(caller.name) in {fold(name) for name in others if name != caller.name}:
            raise taken
        try:
            auth.store.create_user(caller.name, password)
        except MlflowException:  # another request of the same user was faster
            if not auth.store.has_user(caller.name):
                raise
    user = auth._authenticate_cached(caller.name, password)
    if user is None or user.is_admin or caller.name in rules.load().people:
        raise taken
    known = {role.name: role.id for role in auth.store.list_roles([WORKSPACE])}
    for attempt in range(ATTEMPTS):
        held = {
            role.name: role.id
            for role in auth.store.list_user_roles_for_workspace(user.id, WORKSPACE)
            if role.name in ROLES
        }
        try:
            for name in set(held) - caller.roles:
                auth.store.unassign_role_from_user(user.id, held[name])
            for name in caller.roles - set(held):
                auth.store.assign_role_to_user(user.id, known[name])
        except MlflowException:  # another request of the same user was faster: look again
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return
