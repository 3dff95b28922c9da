"""Single sign-on: bearer tokens of an OpenID Connect provider, beside basic auth for services.

MLflow asks ``authorization_function`` of its basic-auth application for the user of each request. A
token (``Authorization: Bearer ...``, or the header that a proxy such as oauth2-proxy sets) is
verified against the provider's published keys (JWKS): signature, issuer, audience and time. Its
claims say which of our roles the user has and how he logged in (``amr``, RFC 8176).

A user who comes the first time is made on the spot, with a password that nobody knows.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path
from typing import Any, Final

import jwt
from flask import Response, g, request
from pydantic import Field
from werkzeug.datastructures import Authorization

from hardgate import records
from hardgate.records import Record
from hardgate.registry import identity
from hardgate.registry.identity import Caller
from hardgate.registry.people import ROLES, WORKSPACE

VARIABLE: Final = "HARDGATE_SSO"
BEARER: Final = "Bearer "
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


def authenticate() -> Authorization | Response:
    """Name the user of a request, by token or by password."""
    from mlflow.server import auth

    provider = configured(os.environ.get(VARIABLE))
    token = _token(provider)
    if provider is None or token is None:
        by_password: Authorization | Response = auth.authenticate_request_basic_auth()
        return by_password
    known = getattr(g, identity.SIGNED_ON, None)
    if known is not None:  # MLflow asks several times in one request
        return Authorization("basic", {"username": known.name, "password": ""})
    try:
        caller = read(token, provider)
    except (jwt.PyJWTError, ValueError) as error:
        return Response(
            f"The token was not accepted: {error}. Log in again.",
            401,
            {"WWW-Authenticate": "Bearer"},
            content_type="text/plain",
        )
    _provide(auth, caller)
    setattr(g, identity.SIGNED_ON, caller)
    return Authorization("basic", {"username": caller.name, "password": ""})


@cache
def configured(place: str | None) -> Provider | None:
    """Read the provider's file; None where none is named."""
    return records.read(Provider, Path(place)) if place else None


@cache
def _keys(url: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(url, cache_keys=True, lifespan=300, timeout=10)


def read(token: str, provider: Provider) -> Caller:
    """Verify a token and read the caller from its claims.

    Raises
    ------
    jwt.PyJWTError
        If the signature, the issuer, the audience or the time is not right.
    ValueError
        If the claim that names the user is missing.
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
    if not isinstance(name, str) or not name:
        raise ValueError(f"it has no claim {provider.user_claim!r}")
    said = claims.get(provider.roles_claim) or ()
    groups = [said] if isinstance(said, str) else said
    roles = {provider.roles[group] for group in groups if group in provider.roles} & set(ROLES)
    return Caller(name, frozenset(roles), frozenset(_listed(claims.get("amr"))))


def _listed(claim: Any) -> list[str]:
    if isinstance(claim, str):
        return [claim]
    return [each for each in claim or () if isinstance(each, str)]


def _token(provider: Provider | None) -> str | None:
    if provider is None:
        return None
    said = request.headers.get("Authorization", "")
    if said.startswith(BEARER):
        return said.removeprefix(BEARER).strip()
    return (request.headers.get(provider.header) if provider.header else None) or None


def _provide(auth: Any, caller: Caller) -> None:
    """Give MLflow's own tables the user and his roles, for the permissions they carry."""
    if not auth.store.has_user(caller.name):
        auth.store.create_user(caller.name, secrets.token_urlsafe(32))
    user = auth.store.get_user(caller.name)
    held = {
        role.name: role.id
        for role in auth.store.list_user_roles_for_workspace(user.id, WORKSPACE)
        if role.name in ROLES
    }
    if set(held) == set(caller.roles):
        return
    known = {role.name: role.id for role in auth.store.list_roles(WORKSPACE)}
    for name in set(held) - caller.roles:
        auth.store.unassign_role_from_user(user.id, held[name])
    for name in caller.roles - set(held):
        auth.store.assign_role_to_user(user.id, known[name])
