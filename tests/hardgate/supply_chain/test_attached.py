"""What is attached to a version says what other tools expect, and only what is so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardgate.evidence import signing
from hardgate.records import FileRecord
from hardgate.supply_chain import bom, slsa

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
AT = datetime(2026, 3, 1, tzinfo=UTC)
MATERIALS = bom.Materials(
    model="tiny",
    version="3",
    sha256=A,
    files=(FileRecord(path=Path("data/model/weights.safetensors"), sha256=B),),
    data=(FileRecord(path=Path("data/tiny/borrowers.csv"), sha256=C),),
    data_licence="CC-BY-4.0",
    packages={"torch": "2.6.0", "numpy": "2.4.6"},
    made={"params-sha256": D, "seed": "7"},
    at=AT,
)
BUILD = slsa.Build(
    model="tiny",
    files=MATERIALS.files,
    params={"seed": 7},
    data=MATERIALS.data,
    settings=(FileRecord(path=Path("requirements.lock"), sha256=D),),
    commit="0" * 40,
    code_sha256=A,
    versions={"hardgate": "0.1.0"},
    run_id="run-1",
    finished=AT,
    byproducts=(FileRecord(path=Path(bom.FILE), sha256=B),),
)


def test_the_bill_keeps_the_schema():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for materials in (MATERIALS, replace(MATERIALS, data_licence=None, packages={})):
        assert validator.validate_str(bom.write(materials).decode()) is None
    broken = bom.write(MATERIALS).decode().replace('"machine-learning-model"', '"spaceship"')
    assert validator.validate_str(broken) is not None


def test_the_bill_names_model_data_and_packages():
    bill = json.loads(bom.write(MATERIALS))
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == (
        "machine-learning-model",
        "tiny",
        "3",
    )
    assert model["hashes"] == [{"alg": "SHA-256", "content": A}]
    assert model["components"][0]["hashes"][0]["content"] == B
    assert {"name": "hardgate:params-sha256", "value": D} in model["properties"]
    kinds = {each["name"]: each for each in bill["components"]}
    data = kinds["data/tiny/borrowers.csv"]
    assert data["type"] == "data"
    assert data["hashes"][0]["content"] == C
    assert data["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert kinds["torch"]["purl"] == "pkg:pypi/torch@2.6.0"
    (depends,) = [each for each in bill["dependencies"] if each["ref"] == "model:tiny"]
    assert len(depends["dependsOn"]) == 3


def test_the_same_materials_give_the_same_bill():
    assert bom.write(MATERIALS) == bom.write(MATERIALS)
    named = json.loads(bom.write(replace(MATERIALS, data_licence="of the house")))
    (data,) = [each for each in named["components"] if each["type"] == "data"]
    assert data["licenses"] == [{"license": {"name": "of the house"}}]


def test_in_totos_own_classes_read_the_provenance():
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    plain = json.loads(slsa.payload(BUILD))
    read = Statement.copy_from_pb(json_format.ParseDict(plain, statement_pb2.Statement()))
    read.validate()
    assert read.pb.predicate_type == "https://slsa.dev/provenance/v1"
    made = json_format.ParseDict(plain["predicate"], provenance_pb2.Provenance())
    found = made.build_definition.resolved_dependencies
    assert [each.name for each in found] == ["code", "data/tiny/borrowers.csv", "requirements.lock"]
    assert found[0].digest["gitCommit"] == "0" * 40
    assert made.run_details.metadata.invocation_id == "run-1"
    assert made.run_details.byproducts[0].digest["sha256"] == B


def test_code_that_nobody_can_check_out_has_no_commit():
    plain = json.loads(slsa.payload(replace(BUILD, commit="0" * 40 + "+changes")))
    code = plain["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert code["digest"] == {"sha256": A}
    assert code["annotations"]["commit"].endswith("+changes")


def test_it_is_signed_as_evidence_is(tmp_path):
    trusted = tmp_path / "trusted"
    signer = signing.open_signer(f"file2:{tmp_path / 'keys' / 'k.pem'}", trusted=trusted)
    envelope = signing.sign(slsa.payload(BUILD), signer)
    assert signing.verify(envelope, trusted=trusted).payload == slsa.payload(BUILD)


@pytest.mark.parametrize("name", [bom.FILE, slsa.FILE])
def test_the_names_fit_evidence(name):
    from pydantic import TypeAdapter

    from hardgate.evidence.statement import FileName

    assert TypeAdapter(FileName).validate_python(name) == name
