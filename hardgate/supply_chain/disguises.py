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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pickletools import OpcodeInfo, StackObject

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
# A pickle that got this far has called something; extension codes and persistent ids do not.
CALLS = frozenset({"REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "STACK_GLOBAL"})
IMPORTS = frozenset({"GLOBAL", "INST"})
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
    stack: list[StackObject] = []
    memo: set[object] = set()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
            if not _takes(opcode, stack) or not _knows(opcode, argument, memo):
                return False
            if opcode.name == "STOP" or opcode.name in CALLS or number >= MOST_OPCODES:
                return True
            if opcode.name in IMPORTS and MODULE.fullmatch(str(argument)):
                return True
            stack += opcode.stack_after
    except (ValueError, IndexError, KeyError, OverflowError, struct.error, MemoryError):
        return False
    return False


def _takes(opcode: OpcodeInfo, stack: list[StackObject]) -> bool:
    """Take from the stack what an opcode takes; where that is not there, unpickling breaks."""
    mark, wanted = pickletools.markobject, len(opcode.stack_before)
    if mark in opcode.stack_before:
        if mark not in stack:
            return False
        last = len(stack) - 1 - stack[::-1].index(mark)
        del stack[last:]
        wanted = opcode.stack_before.index(mark)
    if len(stack) < wanted:
        return False
    del stack[len(stack) - wanted :]
    return True


def _knows(opcode: OpcodeInfo, argument: object, memo: set[object]) -> bool:
    """Keep what an opcode puts into the memo; one that gets what is not there breaks."""
    if opcode.name == "MEMOIZE":
        memo.add(len(memo))
    elif "PUT" in opcode.name:
        memo.add(argument)
    return "GET" not in opcode.name or argument in memo


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
