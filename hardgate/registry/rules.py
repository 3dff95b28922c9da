"""What the registry's server enforces: one file that ``hardgate up`` writes from params.yaml.

The server reads it anew for every approval, so that a change of policy counts at once. It names
the folder of trusted keys; without that no approval is possible, and a server does not start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import Field

from hardgate import records
from hardgate.errors import IntegrityError
from hardgate.gates import Policy
from hardgate.records import Record, Sha256
from hardgate.spelling import fold

VARIABLE: Final = "HARDGATE_REGISTRY"
APPROVER: Final = "release-manager"
GATE: Final = "gate-service"
SUBMITTER: Final = "data-scientist"
WATCHER: Final = "release-watcher"  # looks at champions again; may withdraw, never promote
RESERVED: Final = ("gate.", "approval.", "release.")  # tags that clients do not write


class ModelRules(Record):
    """What a version of one model must show."""

    gates: Policy
    second_factor: bool = False  # the approver's login needs one
    # Digests of the sections of params.yaml that say what is asked: data, attacker, measurements.
    sections: dict[str, Sha256] = Field(default_factory=dict)


class Rules(Record):
    """Everything the server enforces."""

    trusted: Path  # folder of the public keys that sign evidence
    waivers: Path | None = None  # folder of signed waivers, with their own trusted keys inside
    protected_aliases: tuple[str, ...] = Field(("champion",), min_length=1)
    protected_stages: tuple[str, ...] = ("Production",)
    models: dict[str, ModelRules] = Field(default_factory=dict)
    # Who was given which role by `hardgate user add`. An administrator of MLflow can hand out its
    # roles; one that is not written here as well counts for nothing.
    people: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def protects_alias(self, alias: str) -> bool:
        """Tell whether an alias is protected, however it is spelled."""
        return fold(alias) in {fold(name) for name in self.protected_aliases}

    def roles_of(self, name: str, given: frozenset[str]) -> frozenset[str]:
        """Keep of the roles that MLflow gives a user those that are written here as well."""
        return given & frozenset(self.people.get(name, ()))

    def protects_stage(self, stage: str | None) -> bool:
        """Tell whether a stage is protected."""
        return fold(stage or "") in {fold(name) for name in self.protected_stages}


# What holds where no server was set up: everything is protected and nobody is trusted.
NONE: Final = Rules(trusted=Path(os.devnull))


def is_reserved(tag: str) -> bool:
    """Tell whether a tag is one that only the gate and the server write."""
    return fold(tag).startswith(RESERVED)


def load() -> Rules:
    """Read the rules of this server; those of nobody where none were set up.

    Raises
    ------
    IntegrityError
        If the file is named and missing or not what it should be.
    """
    place = os.environ.get("HARDGATE_REGISTRY")
    if not place:
        return NONE
    try:
        return records.read(Rules, Path(place))
    except IntegrityError as error:
        raise IntegrityError(
            f"{place} is missing or broken; put its backup back, or start hardgate up again and "
            "add the people anew"
        ) from error


def check(rules: Rules) -> None:
    """Refuse rules under which nothing could ever be approved: a server must not start so.

    Raises
    ------
    IntegrityError
        If there is no trusted key, or its folder is open for others to write.
    """
    from hardgate.evidence import signing

    if rules is NONE:
        raise IntegrityError(
            f"{VARIABLE} is not set: this server would have no trust store and could approve "
            "nothing; start it with hardgate up"
        )
    signing.public_keys(rules.trusted)
