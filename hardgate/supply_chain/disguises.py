"""What a file may really be, whatever it is called: what runs code, unpacks or points elsewhere.

A file can be two things at once. A reader of pickles starts at the first byte, one of zip archives
at the last, one of HDF5 at any power of two from 512 on: so a well-formed safetensors file can
carry any of them inside its header or its tensors. Each such place is looked at. Albertini's
*mitra* makes such files.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
from collections.abc import Iterator
from mmap import mmap

Bytes = bytes | mmap

# What begins with these bytes is this, to every reader that looks.
MAGIC = (
    (b"PK\x03\x04", "a zip archive, as torch.save, Keras and NPZ write; it may hold pickles"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x1f\x8b", "gzip, as joblib writes; it may hold a pickle or unpack to any size"),
    (b"BZh", "bzip2; it may hold a pickle or unpack to any size"),
    (b"\xfd7zXZ\x00", "xz; it may hold a pickle or unpack to any size"),
    (b"\x5d\x00\x00", "lzma; it may hold a pickle or unpack to any size"),
    (b"\x28\xb5\x2f\xfd", "zstandard; it may unpack to any size"),
    (b"\x04\x22\x4d\x18", "lz4; it may unpack to any size"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"GGUF", "GGUF, whose templates are run"),
    (b"\x7fELF", "a program for Linux"),
    (b"MZ", "a program for Windows"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\xca\xfe\xba\xbe", "a program for macOS or Java"),
    (b"\x00asm", "a WebAssembly program"),
    (b"\xac\xed\x00\x05", "a serialised Java object"),
    (b"#!", "a script"),
    (b"%PDF", "a PDF document"),
)
NUMPY = b"\x93NUMPY"
HDF5 = b"\x89HDF\r\n\x1a\n"
END_OF_ZIP = b"PK\x05\x06"
END_OF_ZIP_SIZE = 22
TAR_MARK = 257  # where a tar archive says ustar
LONGEST_COMMENT = 1 << 16  # behind the end of a zip archive
# A pickle that got this far has imported or called something.
RUNS = frozenset(
    {"REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "INST", "EXT1", "EXT2", "EXT4"}
    | {"PERSID", "BINPERSID", "STACK_GLOBAL"}
)
MODULE = re.compile(r"[A-Za-z_][\w.]*( [A-Za-z_][\w.]*)?", re.ASCII)
MOST_OPCODES = 100_000


def found(content: Bytes) -> Iterator[str]:
    """Name what a file is besides, or instead of, what it should be."""
    yield from (words for magic, words in MAGIC if content[: len(magic)] == magic)
    if content[: len(NUMPY)] == NUMPY:
        header = content[:1024]
        yield "a numpy array of objects: a pickle" if b"O" in header else "a numpy array"
    if is_bytecode(content):
        yield "compiled Python"
    if is_pickle(content):
        yield "a pickle, which runs code when it is read"
    if has_zip_end(content):
        yield "a zip archive from its end: it is read as one whatever stands before"
    if content[TAR_MARK : TAR_MARK + 5] == b"ustar":
        yield "a tar archive"
    if (at := find_hdf5(content)) is not None:
        yield f"HDF5 from byte {at}, as Keras writes; it may hold lambda layers"
    if is_protobuf(content):
        yield "a protobuf, as ONNX and SavedModel are; ONNX may name data outside of its folder"


def is_bytecode(content: Bytes) -> bool:
    """Tell compiled Python of any version: two bytes of version, carriage return, line feed."""
    return content[2:4] == b"\r\n" and content[:2] not in {b"\r\n", b"\n\n"} and content[1] < 0x20


def is_pickle(content: Bytes) -> bool:
    """Tell a stream that the pickle module would run, or run until it meets an error.

    A whole stream ends with STOP. A broken one has done its harm before it breaks.
    """
    stream = io.BytesIO(content) if isinstance(content, bytes) else _Reader(content)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
            if opcode.name == "STOP":
                return number > 0
            if opcode.name in RUNS:
                return True
            if opcode.name == "GLOBAL" and MODULE.fullmatch(str(argument)):
                return True
            if number >= MOST_OPCODES:
                return True
    except (ValueError, IndexError, KeyError, OverflowError, struct.error, MemoryError):
        return False
    return False


class _Reader:
    """Reads a mapped file as pickletools wants it: from its first byte, without a copy."""

    def __init__(self, content: mmap) -> None:
        self._content, self._at = content, 0

    def read(self, size: int) -> bytes:
        """Give the next bytes."""
        part = self._content[self._at : self._at + max(size, 0)]
        self._at += len(part)
        return part

    def readline(self) -> bytes:
        """Give the bytes up to the next line feed."""
        end = self._content.find(b"\n", self._at)
        part = self._content[self._at : len(self._content) if end < 0 else end + 1]
        self._at += len(part)
        return part

    def tell(self) -> int:
        """Say where the next byte is."""
        return self._at


def has_zip_end(content: Bytes) -> bool:
    """Tell whether a reader of zip archives would find its directory, which stands at the end.

    The four bytes alone occur in large files by chance; sizes that fit do not.
    """
    start = max(len(content) - LONGEST_COMMENT - END_OF_ZIP_SIZE, 0)
    at = content.rfind(END_OF_ZIP)
    while at >= start:
        record = content[at : at + END_OF_ZIP_SIZE]
        if len(record) == END_OF_ZIP_SIZE:
            size, offset = struct.unpack("<II", record[12:20])
            far = 0xFFFFFFFF in (size, offset)  # zip64 keeps the sizes elsewhere
            if far or size + offset <= at:
                return True
        at = content.rfind(END_OF_ZIP, 0, at)
    return False


def find_hdf5(content: Bytes) -> int | None:
    """Find the signature of HDF5, which may stand behind a user block of 512, 1024, ... bytes."""
    at = 0
    while at < len(content):
        if content[at : at + len(HDF5)] == HDF5:
            return at
        at = max(at * 2, 512)
    return None


def is_protobuf(content: Bytes) -> bool:
    """Tell what begins as ONNX and SavedModel do: a small version number, then a text."""
    return (
        content[:1] == b"\x08" and len(content) > 3 and content[2:3] in {b"\x12", b"\x1a", b"\x22"}
    )
