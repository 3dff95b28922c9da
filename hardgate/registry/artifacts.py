"""Write-once model files: ``--artifacts-destination once+file:///...`` or ``once+s3://...``.

Every way to write or delete through the server ends in an artifact repository, so this is the one
place that can say no. Files of a logged model may come into being and are never overwritten; a
folder that a registered version lives in is sealed, and from then on nothing below it changes.

The repositories offer neither multipart nor presigned uploads: with those the client would write
past the server. MLflow then uploads through the server, in a stream.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, PERMISSION_DENIED
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

from hardgate import files, provenance

PREFIX: Final = "once+"
SEAL: Final = ".sealed"  # beside a folder: nothing below it changes any more
# A logged model's files, as MLflow lays them out: <experiment>/models/m-<id>/artifacts/...
MODEL_FILE: Final = re.compile(r"(^|/)models/m-[0-9a-f]+/artifacts(/|$)")
TAKEN: Final = (409, 412)  # what S3 answers to who would create an object that is there
WRITERS: Final = 8
LARGEST: Final = 4 * 2**30  # bytes of one object; S3 itself ends at five


class WriteOnce(ArtifactRepository):  # type: ignore[misc]
    """An artifact repository that asks before every change. Paths are relative to its root."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._inner = self._open(artifact_uri.removeprefix(PREFIX))

    def _open(self, uri: str) -> Any:
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        """Tell whether a file is there."""
        raise NotImplementedError

    def seals_below(self, path: str) -> bool:
        """Tell whether a sealed folder lies below."""
        raise NotImplementedError

    def files(self, path: str) -> Iterator[str]:
        """List the files below a folder, relative to it."""
        raise NotImplementedError

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """Open a file as a stream."""
        raise NotImplementedError(path)
        yield

    def create(self, local_file: str, path: str) -> None:
        """Store a file, unless there is one of its name."""
        raise NotImplementedError

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store one file, if nothing forbids it."""
        path = posixpath.join(artifact_path or "", Path(local_file).name)
        self._refuse_sealed(path)
        if MODEL_FILE.search(path):
            if self.exists(path):
                raise _denied(f"model files are write-once, and {path!r} is there already")
            self.create(local_file, path)
        else:
            self._inner.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store every file of a directory, each on its own."""
        root = Path(local_dir)
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            below = file.relative_to(root).parent.as_posix()
            self.log_artifact(
                str(file), posixpath.join(artifact_path or "", below if below != "." else "")
            )

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete what is neither sealed nor a logged model's."""
        path = (artifact_path or "").rstrip("/")
        self._refuse_sealed(path)
        if self.seals_below(path):
            raise _denied(f"{path or 'everything'!r} holds files of registered versions")
        self._inner.delete_artifacts(artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List a folder; seals are not part of it."""
        return [info for info in self._inner.list_artifacts(path) if not info.path.endswith(SEAL)]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Download as the inner repository does."""
        return str(self._inner.download_artifacts(artifact_path, dst_path))

    def get_local_path(self, artifact_path: str) -> str | None:
        """Name the file on this machine, if it is on it."""
        found: str | None = self._inner.get_local_path(artifact_path)
        return found

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._inner._download_file(remote_file_path, local_path)

    def seal(self, path: str) -> None:
        """Let nothing below a folder change any more."""
        if not self.exists(path.rstrip("/") + SEAL):
            self.create(os.devnull, path.rstrip("/") + SEAL)

    def digests(self, path: str) -> dict[str, str]:
        """Digest every file below a folder in a stream, as evidence lists them."""
        found = {}
        for name in self.files(path):
            if name == provenance.NOT_OF_THE_MODEL:
                continue
            with self.opened(posixpath.join(path, name)) as stream:
                found[name] = provenance.sha256_stream(stream)
        return found

    def read(self, path: str, *, limit: int) -> bytes | None:
        """Read a small file; None if it is not there.

        Raises
        ------
        MlflowException
            If it is larger than ``limit`` bytes.
        """
        if not self.exists(path):
            return None
        with self.opened(path) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise MlflowException(f"{path!r} is larger than {limit} bytes", error_code=BAD_REQUEST)
        return content

    def _refuse_sealed(self, path: str) -> None:
        place = posixpath.normpath(path)
        if place.startswith(("..", "/")):
            raise _denied(f"{path!r} leads out of the store")
        if path and place != path:  # S3 keeps a/./b beside a/b, and readers take one for the other
            raise _denied(f"{path!r} has another spelling, {place!r}; use that one")
        if any(part.endswith(SEAL) for part in place.split("/")):
            raise _denied(f"{path!r}: only the server seals a folder")
        while place not in ("", "."):
            if self.exists(place + SEAL):
                raise _denied(f"{path!r} belongs to a registered version, whose files never change")
            place = posixpath.dirname(place)


def _denied(words: str) -> MlflowException:
    return MlflowException(f"Refused: {words}.", error_code=PERMISSION_DENIED)


class WriteOnceLocal(WriteOnce):
    """Write-once files on this machine's disk."""

    def _open(self, uri: str) -> Any:
        return LocalArtifactRepository(uri)

    def _place(self, path: str) -> Path:
        return Path(self._inner.artifact_dir, posixpath.normpath(path))

    def exists(self, path: str) -> bool:
        """Tell whether a file is there."""
        return self._place(path).exists()

    def seals_below(self, path: str) -> bool:
        """Tell whether a sealed folder lies below."""
        return any(self._place(path).rglob(f"*{SEAL}"))

    def files(self, path: str) -> Iterator[str]:
        """List the files below a folder, relative to it."""
        root = self._place(path)
        for file in provenance.files_below(root):
            yield file.as_posix()

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """Open a file as a stream."""
        with self._place(path).open("rb") as stream:
            yield stream

    def create(self, local_file: str, path: str) -> None:
        """Store a file; linking it into place fails where one of its name is, even a moment old."""
        try:
            with Path(local_file).open("rb") as given, files.creating(self._place(path)) as taken:
                shutil.copyfileobj(given, taken, provenance.BLOCK)
        except FileExistsError as error:
            raise _denied(f"model files are write-once, and {path!r} is there already") from error


class WriteOnceS3(WriteOnce):
    """Write-once objects; creating one is conditional on there being none (If-None-Match)."""

    def _open(self, uri: str) -> Any:
        return S3ArtifactRepository(uri)

    def _key(self, path: str) -> tuple[str, str]:
        bucket, root = self._inner.parse_s3_compliant_uri(self._inner.artifact_uri)
        return bucket, posixpath.join(root, path)

    @property
    def _client(self) -> Any:
        return self._inner._get_s3_client()

    def exists(self, path: str) -> bool:
        """Tell whether an object is there."""
        from botocore.exceptions import ClientError

        bucket, key = self._key(path)
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def seals_below(self, path: str) -> bool:
        """Tell whether a sealed folder lies below."""
        return any(key.endswith(SEAL) for key in self._keys(path))

    def files(self, path: str) -> Iterator[str]:
        """List the objects below a folder by what their keys say beyond it, to the letter."""
        _, root = self._key(path)
        for key in self._keys(path):
            yield key.removeprefix(f"{root.rstrip('/')}/")

    def _keys(self, path: str) -> Iterator[str]:
        bucket, root = self._key(path)
        prefix = root.rstrip("/") + "/" if root else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"]

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """Open an object as a stream."""
        bucket, key = self._key(path)
        body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        try:
            yield body
        finally:
            body.close()

    def rehearse(self) -> int:
        """Let several writers create the same object at once; count those that were let."""
        from botocore.exceptions import ClientError

        bucket, key = self._key(f".rehearsal-{uuid.uuid4().hex}")
        client = self._client

        def write(number: int) -> bool:
            try:
                client.put_object(Bucket=bucket, Key=key, Body=str(number), IfNoneMatch="*")
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in TAKEN:
                    return False
                raise
            return True

        with ThreadPoolExecutor(WRITERS) as writers:
            written = sum(writers.map(write, range(WRITERS)))
        client.delete_object(Bucket=bucket, Key=key)
        return written

    def create(self, local_file: str, path: str) -> None:
        """Store an object; the server refuses it where one of its name is, even a moment old."""
        from botocore.exceptions import ClientError

        if Path(local_file).stat().st_size > LARGEST:
            raise _denied(f"{path!r} is larger than {LARGEST >> 30} GiB; split the file")
        bucket, key = self._key(path)
        try:
            with Path(local_file).open("rb") as given:
                self._client.put_object(Bucket=bucket, Key=key, Body=given, IfNoneMatch="*")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in TAKEN:
                raise _denied(
                    f"model files are write-once, and {path!r} is there already"
                ) from error
            raise


def locate(uri: str) -> tuple[WriteOnce, str]:
    """Find where the server keeps what a URI names: its repository, and the path within.

    Raises
    ------
    MlflowException
        If it is not in the server's own write-once store.
    """
    from mlflow.server import handlers

    if handlers._is_servable_proxied_run_artifact_root(uri):
        repository = handlers._get_artifact_repo_mlflow_artifacts()
        if isinstance(repository, WriteOnce):
            return repository, handlers._get_proxied_run_artifact_destination_path(uri)
    raise MlflowException(
        f"Refused: {uri!r} is not in this server's write-once store, so its files could change "
        "after they were tested; log the model through the server.",
        error_code=BAD_REQUEST,
    )
