"""The registry store that asks for proof: every way to change the registry passes through here.

MLflow's REST interface, its UI, its Python client and a client with the database's address all end
in a store's methods. Each mutating method of MLflow's abstract store is either gated here or named
in :data:`FREE`; a test enumerates them, so that an upgrade cannot bring a way around.

A protected change is one transaction: the lock, the judgement, MLflow's own write, the tags and the
entry of the audit. A refusal is an entry too.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.entities.model_registry.model_version_stages import (
    STAGE_ARCHIVED,
    get_canonical_stage,
)
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, PERMISSION_DENIED
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from sqlalchemy.orm import Session

from hardgate.errors import HardgateError
from hardgate.evidence import statement
from hardgate.evidence.statement import RegistryEntry
from hardgate.registry import approval, artifacts, audit, identity, rules
from hardgate.registry.approval import Refusal
from hardgate.registry.audit import Action
from hardgate.registry.rules import GATE, WATCHER, Rules
from hardgate.spelling import fold

SCHEME: Final = "gated+"
EVIDENCE_TAG: Final = "gate.evidence"  # set by the gate service: where in the run it lies
WAIVED_TAG: Final = "gate.waived"  # set by the gate service when somebody signed an exception
RELEASED: Final = "released"  # what the watcher says when all is well; anything else withdraws
EVIDENCE_LIMIT: Final = 16 * 2**20  # bytes
PROMPT: Final = "mlflow.prompt.is_prompt"  # turns a model into a prompt and hides it

# Mutating methods that need no gate, each with its reason.
FREE: Final = {
    "create_registered_model": "a new name has no version, and so nothing in production",
    "update_registered_model": "only the words about a model",
    "delete_registered_model_tag": "tags of a model are notes; evidence is about versions",
    "copy_model_version": "makes a version by create_model_version, which drops the gate's tags",
    "create_prompt": "prompts are made by create_registered_model",
    "create_prompt_version": "prompts' versions are made by create_model_version",
    "delete_prompt": "by delete_registered_model",
    "delete_prompt_version": "by delete_model_version",
    "set_prompt_tag": "by set_registered_model_tag",
    "delete_prompt_tag": "by delete_registered_model_tag",
    "set_prompt_version_tag": "by set_model_version_tag",
    "delete_prompt_version_tag": "by delete_model_version_tag",
    "set_prompt_alias": "by set_registered_model_alias",
    "delete_prompt_alias": "by delete_registered_model_alias",
    "link_prompts_to_trace": "tags of a trace",
    "link_prompt_version_to_model": "tags of a logged model",
    "link_prompt_version_to_run": "tags of a run",
    "create_webhook": "webhooks are nudges; what they start verifies by itself",
    "update_webhook": "as create_webhook",
    "delete_webhook": "the scheduled watcher comes anyway",
}

F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger(__name__)


def refusing(what: str, action: Action = "change") -> Callable[[F], F]:
    """Turn a method's refusals into MLflow's errors, and into entries of the audit."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def asked(self: Gate, name: str, *arguments: Any, **options: Any) -> Any:
            try:
                return method(self, name, *arguments, **options)
            except Refusal as refusal:
                self._refuse(what, action, name, (*arguments, *options.values()), refusal)

        return asked  # type: ignore[return-value]

    return decorate


class Gate:
    """What is asked before MLflow's own store does something; comes before it in the bases."""

    # Of MLflow's store.
    engine: Any
    ManagedSessionMaker: Callable[..., AbstractContextManager[Session]]
    get_model_version: Callable[..., ModelVersion]
    get_registered_model: Callable[..., Any]
    get_model_version_download_uri: Callable[..., str]

    def _gate(self) -> None:
        """Prepare the audit, and let nested calls of MLflow's methods join our transaction."""
        audit.prepare(self.engine)
        sessions = self.ManagedSessionMaker
        ours: ContextVar[Session | None] = ContextVar("hardgate_session", default=None)

        @contextmanager
        def joined(read_only: bool = True) -> Iterator[Session]:
            outer = ours.get()
            if outer is not None:
                yield outer
                outer.flush()
                return
            with sessions(read_only=read_only) as session:
                yield session

        @contextmanager
        def transaction() -> Iterator[Session]:
            refusal = None
            with sessions(read_only=False) as session:
                audit.lock(session)
                token = ours.set(session)
                try:
                    yield session
                except Refusal as answer:  # MLflow would call it an internal error
                    session.rollback()
                    refusal = answer
                finally:
                    ours.reset(token)
            if refusal is not None:
                raise refusal

        self.ManagedSessionMaker = joined
        self._transaction = transaction

    # -- what is asked ----------------------------------------------------------------------------

    def _rules(self) -> Rules:
        try:
            return rules.load()
        except HardgateError as error:
            raise Refusal(f"this server's rules cannot be read: {error}") from error

    def _refuse(
        self, what: str, action: Action, name: str, arguments: tuple[Any, ...], refusal: Refusal
    ) -> None:
        asked = ", ".join(str(value)[:100] for value in arguments)
        words = f"{what} of {name!r}{f' ({asked})' if arguments else ''} refused: {refusal.words}."
        log.warning("%s", words)
        with self._transaction() as session:
            _enter(session, action, name, allowed=False, target=asked, words=refusal.words)
        code = PERMISSION_DENIED if refusal.forbidden else BAD_REQUEST
        raise MlflowException(words, error_code=code)

    def _entry(self, name: str, version: str) -> RegistryEntry:
        found = self.get_model_version(name, version)
        return RegistryEntry(
            name=found.name,
            version=str(found.version),
            created_at=int(found.creation_timestamp),
            run_id=str(found.run_id or ""),
            source=str(found.source),
        )

    def _digests(self, name: str, version: str) -> Mapping[str, str]:
        """Digest the version's files as they are now; outside of the lock, for it takes time."""
        try:
            repository, path = artifacts.locate(self.get_model_version_download_uri(name, version))
        except MlflowException as error:
            raise Refusal(error.message.removeprefix("Refused: ").rstrip(".")) from error
        repository.seal(path)
        return repository.digests(path)

    def _promote(self, name: str, version: str, target: str, write: Callable[[], Any]) -> Any:
        """Judge, write, stamp and enter, all or nothing."""
        own = self._rules()
        caller = identity.current()
        approval.ask_role(caller, own.models.get(name))  # before the files are read
        files = self._digests(name, version)
        with self._transaction() as session:
            asked = self._entry(name, version)
            judged = approval.judge(
                asked,
                audit.evidence_of(session, name, asked.version, created=asked.created_at),
                files,
                caller=caller,
                rules=own,
                now=datetime.now(UTC),
            )
            before = self._holders(session, name, target)
            done = write()
            entry = _enter(
                session,
                "promote",
                name,
                version=str(version),
                target=target,
                before=", ".join(sorted(before)),
                words=f"submitted by {judged.predicate.submitted_by}",
                evidence_sha256=judged.evidence_sha256,
                model_sha256=statement.subject(judged.predicate).digest.sha256,
                waived=tuple(map(str, judged.waived)),
            )
            self._stamp(name, version, entry)
            if own.protects_stage(target):
                for gone in sorted(before - self._holders(session, name, target)):
                    words = f"archived when version {version} came"
                    _enter(session, "withdraw", name, version=gone, target=target, words=words)
            return done

    def _withdraw(
        self, name: str, target: str, version: str | None, write: Callable[[], Any]
    ) -> Any:
        """Let an approver take a version out of production, all or nothing.

        Without ``version`` it is the one that the alias points at when it is this caller's turn.
        """
        caller = identity.current()
        with self._transaction() as session:
            approval.ask_role(caller, self._rules().models.get(name))
            if version is None:
                (version,) = self._holders(session, name, target) or ("",)
            done = write()
            if not version:
                return done  # somebody else was faster
            _enter(session, "withdraw", name, version=version, target=target, before=version)
            return done

    def _holders(self, session: Session, name: str, target: str) -> frozenset[str]:
        """Name the versions that an alias points at or that are in a stage."""
        aliases = self.get_registered_model(name).aliases
        staged = self._get_query(session, SqlModelVersion).filter(  # type: ignore[attr-defined]
            SqlModelVersion.name == name,
            SqlModelVersion.current_stage == target,
        )
        pointed = (number for alias, number in aliases.items() if alias == target)
        return frozenset(map(str, (*pointed, *(found.version for found in staged))))

    def _stamp(self, name: str, version: str, entry: audit.Entry) -> None:
        """Mirror the audit in tags, for people who look at the version's page."""
        said = {
            "approval.by": entry.by,
            "approval.at": entry.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "approval.target": entry.target,
            "approval.evidence": entry.evidence_sha256,
            "approval.audit": f"entry {entry.number}",
        }
        if entry.waived:
            said["approval.waived"] = "; ".join(entry.waived)
        for key, value in said.items():
            super().set_model_version_tag(name, version, ModelVersionTag(key, value))  # type: ignore[misc]
        for key in self.get_model_version(name, version).tags:
            if key.startswith("release."):  # what was found after an earlier approval
                super().delete_model_version_tag(name, version, key)  # type: ignore[misc]

    def _in_production(self, name: str, version: str | None = None) -> str | None:
        """Name the protected alias or stage that holds a version of the model, if one does."""
        own = self._rules()
        found = self.get_registered_model(name)
        for alias, number in found.aliases.items():
            if own.protects_alias(alias) and version in (None, str(number)):
                return f"the alias {alias!r} (version {number})"
        # The latest version of each stage stands for the model; an older one may be in it as well.
        latest = self.get_latest_versions(name)  # type: ignore[attr-defined]
        for each in latest if version is None else (self.get_model_version(name, version),):
            if own.protects_stage(each.current_stage):
                return f"the stage {each.current_stage!r} (version {each.version})"
        return None

    def _ask_gate_service(self, what: str) -> None:
        caller, ruled = identity.current(), self._rules() is not rules.NONE
        if GATE in caller.roles or (not ruled and not audit.has_evidence(self.engine)):
            return  # where no server ever took evidence nothing is approved, and tags are notes
        raise Refusal(
            f"{what} is written by the role {GATE} alone; user {caller.name!r} does not hold it",
            forbidden=True,
        )

    # -- promotion and withdrawal -----------------------------------------------------------------

    @refusing("Setting an alias", "promote")
    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias; a protected one is an approval."""
        write = functools.partial(super().set_registered_model_alias, name, alias, version)  # type: ignore[misc]
        if not alias.isascii():
            raise Refusal(f"the alias {alias!r} holds letters that look like others; use a to z")
        if not self._rules().protects_alias(alias):
            return write()  # type: ignore[no-any-return]
        return self._promote(name, str(version), alias, write)  # type: ignore[no-any-return]

    @refusing("Deleting an alias", "withdraw")
    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias; of a protected one, that takes the version out of production."""
        write = functools.partial(super().delete_registered_model_alias, name, alias)  # type: ignore[misc]
        if not self._rules().protects_alias(alias):
            return write()  # type: ignore[no-any-return]
        return self._withdraw(name, alias, None, write)  # type: ignore[no-any-return]

    @refusing("Changing the stage", "promote")
    def transition_model_version_stage(
        self, name: str, version: str, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        """Change a stage; into a protected one is an approval, out of it a withdrawal."""
        stage = get_canonical_stage(stage)
        write = functools.partial(
            super().transition_model_version_stage,  # type: ignore[misc]
            name,
            # MLflow compares it with a column of numbers, and PostgreSQL compares no word with one.
            int(version) if str(version).isdecimal() else version,
            stage,
            archive_existing_versions,
        )
        own = self._rules()
        if own.protects_stage(stage):
            return self._promote(name, str(version), stage, write)
        held = self.get_model_version(name, version).current_stage
        if own.protects_stage(held):
            return self._withdraw(name, str(held), str(version), write)
        return write()

    # -- what production stands on ----------------------------------------------------------------

    @refusing("Renaming", "rename")
    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a model, unless a version of it is in production: evidence is bound to names."""
        with self._transaction() as session:  # nobody promotes between question and deed
            if held := self._in_production(name):
                raise Refusal(f"{held} is in production, and its evidence is bound to the name")
            done = super().rename_registered_model(name, new_name)  # type: ignore[misc]
            _enter(session, "rename", name, target=new_name)
            return done

    @refusing("Deleting a version", "delete")
    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version, unless it is in production."""
        with self._transaction() as session:
            if held := self._in_production(name, str(version)):
                raise Refusal(f"{held} is in production; move the alias or stage first")
            super().delete_model_version(name, version)  # type: ignore[misc]
            _enter(session, "delete", name, version=str(version))

    @refusing("Deleting the model", "delete")
    def delete_registered_model(self, name: str) -> None:
        """Delete a model, unless a version of it is in production."""
        with self._transaction() as session:
            if held := self._in_production(name):
                raise Refusal(f"{held} is in production; remove the alias or stage first")
            super().delete_registered_model(name)  # type: ignore[misc]
            _enter(session, "delete", name)

    @refusing("Tagging the model")
    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        """Tag a model; never so that it turns into a prompt and hides."""
        if fold(tag.key) == PROMPT:
            raise Refusal("the tag would turn the model into a prompt and hide it")
        super().set_registered_model_tag(name, tag)  # type: ignore[misc]

    # -- versions and their tags ------------------------------------------------------------------

    @refusing("Registering a version")
    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: list[ModelVersionTag] | None = None,
        *arguments: Any,
        **options: Any,
    ) -> ModelVersion:
        """Register a version without the gate's tags, and seal its files."""
        kept = [tag for tag in tags or () if not rules.is_reserved(tag.key)]
        made = super().create_model_version(name, source, run_id, kept, *arguments, **options)  # type: ignore[misc]
        if self._rules() is not rules.NONE:
            uri = self.get_model_version_download_uri(name, made.version)
            try:
                repository, path = artifacts.locate(uri)
                repository.seal(path)
            except MlflowException as error:  # it can never be promoted, and says so then
                log.warning("version %s of %s is not sealed: %s", made.version, name, error)
        return made

    @refusing("Describing a version")
    def update_model_version(
        self, name: str, version: str, description: str | None = None
    ) -> ModelVersion:
        """Describe a version; the words on one with evidence are the gate's."""
        entry = self._entry(name, version)
        with self.ManagedSessionMaker() as session:
            proven = audit.evidence_of(session, name, entry.version, created=entry.created_at)
        if proven is not None:
            self._ask_gate_service("the description of a version with evidence")
        return super().update_model_version(name, version, description)  # type: ignore[misc]

    @refusing("Tagging a version")
    def set_model_version_tag(self, name: str, version: str, tag: ModelVersionTag) -> None:
        """Tag a version; the gate's tags come from the gate service alone."""
        if fold(tag.key).startswith("release."):
            self._note_release(name, version, tag)
            return
        if fold(tag.key).startswith("approval."):
            raise Refusal(f"the tag {tag.key!r} is written by the server alone", forbidden=True)
        if rules.is_reserved(tag.key):
            self._ask_gate_service(f"the tag {tag.key!r}")
            if fold(tag.key) == EVIDENCE_TAG:
                self._record(name, version, tag)
                return
            if fold(tag.key) == WAIVED_TAG:
                with self._transaction() as session:
                    _enter(session, "waive", name, version=str(version), words=str(tag.value))
                    super().set_model_version_tag(name, version, tag)  # type: ignore[misc]
                return
        super().set_model_version_tag(name, version, tag)  # type: ignore[misc]

    @refusing("Deleting a tag")
    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag; never one of the gate's."""
        if rules.is_reserved(key):
            raise Refusal(f"the tag {key!r} mirrors the audit and stays", forbidden=True)
        super().delete_model_version_tag(name, version, key)  # type: ignore[misc]

    def _note_release(self, name: str, version: str, tag: ModelVersionTag) -> None:
        """Let the watcher say what it found; the status goes into the audit.

        ``withdrawn`` takes this version out of production, and no other that came meanwhile.
        """
        if WATCHER not in identity.current().roles:
            raise Refusal(
                f"the tag {tag.key!r} is written by the role {WATCHER} alone", forbidden=True
            )
        with self._transaction() as session:
            if tag.key == "release.status":
                tags = self.get_model_version(name, version).tags
                _enter(
                    session,
                    "release" if tag.value == RELEASED else "alarm",
                    name,
                    version=str(version),
                    target=str(tags.get("approval.target", "")),
                    words=str(tags.get("release.words", "")),
                    evidence_sha256=str(tags.get("approval.evidence", "")),
                )
                seen = ModelVersionTag("release.approval", str(tags.get("approval.audit", "")))
                super().set_model_version_tag(name, version, seen)  # type: ignore[misc]
                if tag.value != RELEASED:
                    self._take_out(session, name, str(version))
            super().set_model_version_tag(name, version, tag)  # type: ignore[misc]

    def _take_out(self, session: Session, name: str, version: str) -> None:
        """Take a version out of every protected alias and stage that it holds."""
        own = self._rules()
        for alias, number in self.get_registered_model(name).aliases.items():
            if own.protects_alias(alias) and str(number) == version:
                super().delete_registered_model_alias(name, alias)  # type: ignore[misc]
                _enter(session, "withdraw", name, version=version, target=alias, before=version)
        held = str(self.get_model_version(name, version).current_stage)
        if own.protects_stage(held):
            super().transition_model_version_stage(name, int(version), STAGE_ARCHIVED, False)  # type: ignore[misc]
            _enter(session, "withdraw", name, version=version, target=held, before=version)

    def _record(self, name: str, version: str, tag: ModelVersionTag) -> None:
        """Take the evidence into the audit; the tag says where in the run's artifacts it lies."""
        own = self._rules()
        if own is rules.NONE:
            super().set_model_version_tag(name, version, tag)  # type: ignore[misc]
            return
        entry = self._entry(name, version)
        content = self._evidence(entry, str(tag.value))
        predicate = approval.opened(content, own)
        approval.refuse_another(predicate, entry)
        with self._transaction() as session:
            noted = _enter(
                session,
                "evidence",
                name,
                version=entry.version,
                words=f"{predicate.decision}, submitted by {predicate.submitted_by}",
                evidence_sha256=approval.digest(content),
                model_sha256=statement.subject(predicate).digest.sha256,
            )
            audit.keep_evidence(session, noted, content, created=entry.created_at)
            mirrored = ModelVersionTag(tag.key, noted.evidence_sha256)
            super().set_model_version_tag(name, version, mirrored)  # type: ignore[misc]

    def _evidence(self, entry: RegistryEntry, path: str) -> bytes:
        """Read the evidence from the artifacts of the version's run, and seal the report too."""
        from mlflow.server import handlers

        run = handlers._get_tracking_store().get_run(entry.run_id)
        repository, root = artifacts.locate(run.info.artifact_uri)
        place = f"{root}/{path}"
        content = repository.read(place, limit=EVIDENCE_LIMIT)
        if content is None:
            raise Refusal(f"the run has no artifact {path!r} to read evidence from")
        repository.seal(root)
        return content


def _enter(
    session: Session, action: Action, model: str, *, allowed: bool = True, **said: Any
) -> audit.Entry:
    """Enter into the audit what the caller of this moment did or was refused."""
    caller = identity.current()
    return audit.append(
        session,
        action,
        allowed=allowed,
        by=caller.name,
        roles=tuple(sorted(caller.roles)),
        factors=tuple(sorted(caller.factors)),
        model=model,
        **said,
    )


class GatedStore(Gate, SqlAlchemyStore):  # type: ignore[misc]
    """MLflow's SQL registry, gated."""

    def __init__(self, db_uri: str, read_db_uri: str | None = None) -> None:
        super().__init__(db_uri, read_db_uri)
        self._gate()


class GatedWorkspaceStore(Gate, WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]
    """MLflow's SQL registry with workspaces, gated."""

    def __init__(self, db_uri: str, read_db_uri: str | None = None) -> None:
        super().__init__(db_uri, read_db_uri)
        self._gate()


def build(
    store_uri: str,
    tracking_uri: str | None = None,  # noqa: ARG001  MLflow's clients pass it
) -> SqlAlchemyStore:
    """Build the store for a registry URI; MLflow calls it in servers and in clients.

    ``gated+...`` is how a server asks for it: without rules and trusted keys it does not start. The
    plain schemes are gated as well, so that nobody gets around by leaving the prefix out.
    """
    if store_uri.startswith(SCHEME):
        try:
            rules.check(rules.load())
        except HardgateError as error:
            raise MlflowException(
                f"The gated registry does not start: {error}", error_code=BAD_REQUEST
            ) from error
    kind = GatedWorkspaceStore if MLFLOW_ENABLE_WORKSPACES.get() else GatedStore
    return kind(store_uri.removeprefix(SCHEME))
