"""Single sign-on: tokens of a provider whose keys are published on a real endpoint."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hardgate import records
from hardgate.errors import IntegrityError
from hardgate.registry import sso
from hardgate.registry.rules import APPROVER, GATE, SUBMITTER, Rules
from hardgate.registry.sso import Provider
from tests.hardgate.registry.conftest import (
    ADMIN,
    GRACE,
    PIPELINE,
    User,
    Version,
    World,
    ended,
    serve,
)

ISSUER, AUDIENCE = "https://login.example.org", "mlflow"
GROUPS = {"ml-release": APPROVER, "ml-science": SUBMITTER, "ml-gate": GATE}


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Login:
    """A provider: its keys on a real endpoint, and the tokens it gives out."""

    url: str
    published: dict[str, rsa.RSAPrivateKey]
    asked: list[str] = field(default_factory=list)

    @property
    def provider(self) -> Provider:
        return Provider(issuer=ISSUER, audience=AUDIENCE, jwks_url=self.url, roles=GROUPS)

    def claims(self, name: str = "rita", **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"id-of-{name}",
            "preferred_username": name,
            "groups": ["ml-release"],
            "amr": ["pwd"],
            "iat": now,
            "exp": now + 300,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, name: str = "rita", *, key: rsa.RSAPrivateKey | None = None, **changes: Any
    ) -> str:
        kid = changes.pop("kid", "first")
        signer = key or self.published["first"]
        return jwt.encode(
            self.claims(name, **changes), signer, algorithm="RS256", headers={"kid": kid}
        )


@dataclass(frozen=True)
class Signed(User):
    """Somebody who shows a token instead of a password."""

    password: str = ""
    token: str = ""
    header: str = "Authorization"
    scheme: str = "Bearer "

    @property
    def auth(self) -> Any:
        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers[self.header] = self.scheme + self.token
            return request

        return sign


@pytest.fixture(scope="session")
def login() -> Iterator[Login]:
    published = {"first": new_key()}

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            keys = [
                json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
                | {"kid": kid, "use": "sig", "alg": "RS256"}
                for kid, key in made.published.items()
            ]
            body = json.dumps({"keys": keys}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    made = Login(f"http://127.0.0.1:{server.server_port}/keys", published)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def signed_on(tmp_path_factory: pytest.TempPathFactory, login: Login) -> Iterator[World]:
    """A gated server that takes the provider's tokens."""
    home = tmp_path_factory.mktemp("signed-on")
    records.write(login.provider, home / "provider.json")
    world = serve(
        home,
        database=f"sqlite:///{home}/mlflow.db",
        artifacts=(home / "artifacts").as_uri(),
        kind="sqlite",
        environment={sso.VARIABLE: str(home / "provider.json")},
    )
    with ended(world):
        yield world


@pytest.fixture
def shown(signed_on: World) -> Version:
    """A version that may be approved."""
    return signed_on.prove(signed_on.register())


# -- tokens, without a server ---------------------------------------------------------------------


def unsigned(login: Login) -> str:
    return jwt.encode(login.claims(), None, algorithm="none", headers={"kid": "first"})


def by_public_key(login: Login) -> str:
    """HS256 with the published key as its secret, which everybody knows."""
    secret = (
        login.published["first"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )

    def coded(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    head = coded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "first"}).encode())
    signed = head + b"." + coded(json.dumps(login.claims()).encode())
    return (signed + b"." + coded(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


def with_own_key(login: Login) -> str:
    """A token that brings the key it was signed with."""
    key = new_key()
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    headers = {"kid": "first", "jwk": own, "jku": "http://127.0.0.1:9/keys"}
    return jwt.encode(login.claims(), key, algorithm="RS256", headers=headers)


def changed(login: Login) -> str:
    head, _, signature = login.token(groups=["ml-science"]).split(".")
    body = base64.urlsafe_b64encode(json.dumps(login.claims()).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


NOW = int(time.time())
BAD: dict[str, Callable[[Login], str]] = {
    "another audience": lambda login: login.token(aud="grafana"),
    "no audience": lambda login: login.token(aud=None),
    "another issuer": lambda login: login.token(iss="https://login.example.com"),
    "no issuer": lambda login: login.token(iss=None),
    "expired": lambda login: login.token(iat=NOW - 900, exp=NOW - 600),
    "never expires": lambda login: login.token(exp=None),
    "not valid yet": lambda login: login.token(nbf=NOW + 6000, exp=NOW + 9000),
    "issued in the future": lambda login: login.token(iat=NOW + 6000, exp=NOW + 9000),
    "nobody's": lambda login: login.token(sub=None),
    "no name": lambda login: login.token(preferred_username=None),
    "an empty name": lambda login: login.token(preferred_username=""),
    "a name that is none": lambda login: login.token(preferred_username=["rita"]),
    "an endless name": lambda login: login.token("r" * 300),
    "the algorithm none": unsigned,
    "HS256 with the public key": by_public_key,
    "an unknown key": lambda login: login.token(kid="second"),
    "another key of that name": lambda login: login.token(key=new_key()),
    "no key's name": lambda login: login.token(kid=""),
    "its own key": with_own_key,
    "other claims": changed,
    "no token": lambda login: "rubbish",
    "nothing": lambda login: "",
}


@pytest.mark.parametrize("made", BAD.values(), ids=BAD)
def test_a_bad_token_is_not_read(login: Login, made: Callable[[Login], str]) -> None:
    with pytest.raises((jwt.PyJWTError, ValueError)):
        sso.read(made(login), login.provider)


def test_a_good_token_says_who_asks(login: Login) -> None:
    caller = sso.read(login.token(amr=["pwd", "mfa"]), login.provider)
    assert (caller.name, caller.roles, caller.second_factor) == ("rita", {APPROVER}, True)


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        ("ml-release", {APPROVER}),
        (["ml-release", "ml-science", "cooks"], {APPROVER, SUBMITTER}),
        (["release-manager"], set()),  # our name of a role is not the provider's
        ([{"ml-release": 1}, None, 7], set()),
        ({"ml-release": True}, set()),
        (7, set()),
        (None, set()),
    ],
)
def test_only_known_groups_give_roles(login: Login, groups: Any, roles: set[str]) -> None:
    assert sso.read(login.token(groups=groups), login.provider).roles == roles


@pytest.mark.parametrize(
    "amr", [["mfa"], "mfa", ["pwd", "otp"], ["hwk", "pin"], ["face", "swk"]], ids=str
)
def test_two_kinds_of_proof_are_two_factors(login: Login, amr: Any) -> None:
    assert sso.read(login.token(amr=amr), login.provider).second_factor


@pytest.mark.parametrize(
    "amr",
    [None, [], "pwd", ["pwd"], 7, ["user"], {"mfa": 1}, ["otp"], ["pwd", "pin"], ["hwk", "otp"]],
    ids=str,
)
def test_one_kind_of_proof_is_one_factor(login: Login, amr: Any) -> None:
    assert not sso.read(login.token(amr=amr), login.provider).second_factor


def test_a_key_that_is_published_no_more_is_forgotten(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sso, "KEPT", 0.2)
    provider = login.provider.model_copy(update={"jwks_url": f"{login.url}?forgotten"})
    monkeypatch.setitem(login.published, "leaked", new_key())
    token = login.token(key=login.published["leaked"], kid="leaked")
    assert sso.read(token, provider).name == "rita"
    monkeypatch.delitem(login.published, "leaked")
    time.sleep(0.3)
    with pytest.raises(jwt.PyJWKClientError):
        sso.read(token, provider)


def test_the_keys_are_not_asked_for_with_every_token(login: Login) -> None:
    provider = login.provider.model_copy(update={"jwks_url": f"{login.url}?often"})
    for kid in ["first", "first", *(f"unknown-{number}" for number in range(10))]:
        try:
            sso.read(login.token(kid=kid), provider)
        except jwt.PyJWKClientError:
            assert kid != "first"
    assert login.asked.count("/keys?often") <= 3


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks_url": "http://login.example.org/keys"},
        {"jwks_url": "file:///keys"},
        {"roles": {"ml-release": "owner"}},
        {"algorithms": ["HS256"]},
    ],
    ids=str,
)
def test_an_unsafe_provider_is_refused(
    login: Login, changes: dict[str, Any], tmp_path: Path
) -> None:
    plain = records.to_plain(login.provider) | changes
    (tmp_path / "provider.json").write_text(json.dumps(plain))
    with pytest.raises(IntegrityError):
        sso.configured(str(tmp_path / "provider.json"))


def test_up_hands_the_provider_on(
    login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hardgate.server import services, settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "state"))
    hidden = settings.secret()
    monkeypatch.delenv(sso.VARIABLE, raising=False)
    mlflow, *_ = services.all_of(settings.changed(sso=settings.provider()), hidden)
    assert sso.VARIABLE not in mlflow.environment
    records.write(login.provider, tmp_path / "provider.json")
    monkeypatch.setenv(sso.VARIABLE, "provider.json")
    settings.remember(settings.changed(sso=settings.provider()))
    monkeypatch.delenv(sso.VARIABLE)
    mlflow, *_ = services.all_of(settings.changed(sso=settings.provider()), hidden)
    assert mlflow.environment[sso.VARIABLE] == str(tmp_path / "provider.json")
    monkeypatch.setenv(sso.VARIABLE, "elsewhere.json")
    with pytest.raises(IntegrityError, match="elsewhere"):
        services.all_of(settings.changed(sso=settings.provider()), hidden)


# -- a server -------------------------------------------------------------------------------------


def rita(login: Login, **changes: Any) -> Signed:
    return Signed("rita", token=login.token(**changes))


def refused(answer: requests.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.text


@pytest.mark.slow
def test_a_release_manager_approves_by_token(
    signed_on: World, shown: Version, login: Login
) -> None:
    answer = signed_on.promote(rita(login), shown)
    assert answer.ok, answer.text
    assert signed_on.champion(shown.name) == shown.version
    tags = {tag["key"]: tag["value"] for tag in signed_on.version(shown)["tags"]}
    assert tags["approval.by"] == "rita"


@pytest.mark.slow
@pytest.mark.parametrize("made", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(
    signed_on: World, login: Login, made: Callable[[Login], str]
) -> None:
    user = Signed("rita", token=made(login))
    answer = signed_on.api(user, "GET", "registered-models/search")
    assert answer.status_code == 401, answer.text
    assert signed_on.put(user, "1/x/artifacts/file", b"content").status_code == 401


@pytest.mark.slow
def test_a_second_factor_is_asked_for_where_the_rules_say_so(
    signed_on: World, shown: Version, login: Login
) -> None:
    models = records.read(Rules, signed_on.rules).models
    strict = models[shown.name].model_copy(update={"second_factor": True})
    signed_on.change_rules(models={**models, shown.name: strict})
    try:
        refused(signed_on.promote(rita(login, amr=["pwd"]), shown), 403, "second factor")
        refused(signed_on.promote(GRACE, shown), 403, "second factor")
        assert signed_on.champion(shown.name) is None
        assert signed_on.promote(rita(login, amr=["pwd", "mfa"]), shown).ok
    finally:
        signed_on.change_rules(models=models)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [None, ["cooks"], ["ml-science"], ["ml-gate"]], ids=str)
def test_without_the_role_nothing_is_approved(
    signed_on: World, shown: Version, login: Login, groups: Any
) -> None:
    user = Signed("norma", token=login.token("norma", groups=groups))
    assert signed_on.promote(user, shown).status_code == 403
    assert signed_on.champion(shown.name) is None


@pytest.mark.slow
def test_the_roles_of_a_returning_user_follow_the_token(
    signed_on: World, shown: Version, login: Login
) -> None:
    def held() -> set[str]:
        answer = signed_on.ask(ADMIN, "GET", "api/3.0/mlflow/users/roles/list", username="vera")
        return {role["name"] for role in answer.json()["roles"]}

    def vera(*groups: str) -> Signed:
        return Signed("vera", token=login.token("vera", groups=list(groups)))

    assert signed_on.promote(vera("ml-release"), shown).ok
    assert APPROVER in held()
    fields = {"name": shown.name, "alias": "champion"}
    gone = signed_on.api(vera(), "DELETE", "registered-models/alias", **fields)
    assert gone.status_code == 403, gone.text
    assert APPROVER not in held()
    assert signed_on.champion(shown.name) == shown.version
    back = signed_on.api(vera("ml-release"), "DELETE", "registered-models/alias", **fields)
    assert back.ok, back.text


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Digest ", ""])
def test_only_a_bearer_is_read(signed_on: World, login: Login, scheme: str) -> None:
    user = Signed("rita", token=login.token(), scheme=scheme)
    answer = signed_on.api(user, "GET", "registered-models/search")
    assert answer.status_code == (200 if scheme.strip().lower() == "bearer" else 401), answer.text


@pytest.mark.slow
def test_services_keep_their_passwords(signed_on: World, shown: Version) -> None:
    assert signed_on.tag(PIPELINE, shown, "gate.report", "report.html").ok
    assert signed_on.promote(GRACE, shown).ok
    wrong = User(GRACE.name, "not her password")
    assert signed_on.promote(wrong, shown).status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize("name", [ADMIN.name, GRACE.name, PIPELINE.name, "GRACE", "ｇrace"])
def test_a_token_never_names_an_account_with_a_password(
    signed_on: World, shown: Version, login: Login, name: str
) -> None:
    user = Signed(name, token=login.token(name))
    refused(signed_on.promote(user, shown), 401, "is an account with a password")
    assert signed_on.champion(shown.name) is None


@pytest.mark.slow
def test_who_submitted_does_not_approve_under_another_spelling(
    signed_on: World, login: Login
) -> None:
    version = signed_on.prove(signed_on.register(), submitted_by="Rita")
    refused(signed_on.promote(rita(login), version), 403, "a second pair of eyes")


@pytest.mark.slow
def test_a_header_counts_only_where_the_provider_names_it(
    signed_on: World, shown: Version, login: Login
) -> None:
    user = Signed("rita", token=login.token(), header="X-Forwarded-Access-Token", scheme="")
    assert signed_on.promote(user, shown).status_code == 401


@pytest.mark.slow
def test_somebody_new_may_ask_many_times_at_once(signed_on: World, login: Login) -> None:
    user = Signed("nina", token=login.token("nina"))
    answers: list[int] = []

    def ask() -> None:
        answers.append(signed_on.api(user, "GET", "registered-models/search").status_code)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 10
