"""What a model is made of, as a bill of materials that everybody's tools read: CycloneDX 1.6.

https://cyclonedx.org/docs/1.6/json/. One component for the model with each of its files, one for
each raw data file with licence and digest, one for each locked package that is installed; the model
depends on all of them. How it was made stands in properties of the model: cyclonedx-python-lib does
not write formulations and model cards yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from hardgate.records import FileRecord

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

FILE = "bom.cdx.json"


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What goes into the bill."""

    model: str
    version: str
    sha256: str  # of the model directory
    files: Sequence[FileRecord]  # of the model, relative to it
    data: Sequence[FileRecord]
    data_licence: str | None  # an SPDX identifier, or a name
    packages: Mapping[str, str]  # versions by canonical name
    made: Mapping[str, str]  # how: digests of params, lock and code, the seed, the commit
    at: datetime


def write(materials: Materials) -> bytes:
    """Write the bill; the same materials give the same bytes."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.output.json import JsonV1Dot6

    model = _model(materials)
    data = [_data(materials, file) for file in materials.data]
    packages = [_package(*each) for each in sorted(materials.packages.items())]
    bill = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{materials.model}/{materials.sha256}"),
        components=[*data, *packages],
    )
    bill.metadata.timestamp = materials.at
    bill.metadata.component = model
    bill.register_dependency(model, [*data, *packages])
    return JsonV1Dot6(bill).output_as_string(indent=1).encode() + b"\n"


def _model(materials: Materials) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{materials.model}",
        name=materials.model,
        version=materials.version,
        hashes=[_hash(materials.sha256)],
        components=[
            Component(
                type=ComponentType.FILE,
                bom_ref=f"file:{file.path.as_posix()}",
                name=file.path.as_posix(),
                hashes=[_hash(file.sha256)],
            )
            for file in materials.files
        ],
        properties=[Property(name=f"hardgate:{k}", value=v) for k, v in materials.made.items()],
    )


def _data(materials: Materials, file: FileRecord) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        type=ComponentType.DATA,
        bom_ref=f"data:{file.path.as_posix()}",
        name=file.path.as_posix(),
        hashes=[_hash(file.sha256)],
        licenses=list(_licences(materials.data_licence)),
    )


def _licences(named: str | None) -> Iterator[License]:
    from cyclonedx.model.license import DisjunctiveLicense
    from cyclonedx.spdx import is_supported_id

    if named is not None:
        known = is_supported_id(named)
        yield DisjunctiveLicense(id=named) if known else DisjunctiveLicense(name=named)


def _package(name: str, version: str) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL(type="pypi", name=name, version=version)
    return Component(
        type=ComponentType.LIBRARY, bom_ref=str(url), name=name, version=version, purl=url
    )


def _hash(sha256: str) -> HashType:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)
