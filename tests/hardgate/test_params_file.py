"""The text of params.yaml is changed at one place, and what is wrong with it is said by line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hardgate import params_file
from hardgate.errors import ParamsError

TEXT = """\
# all models
models: [one, "two"] # in order

one: # the first
  seed: 7 # lucky
  empty:
  threat: {eps: 8/255, norm: "Linf"} # in one line

  # above the list
  relations:
    - a <= b
    # between
    - 'c <= d' # last
  members:
  - {name: noise, share: 0.1}
  - name: swap
    rate: 0.5

two:
  seed: 8
"""


def put(assignment: str, text: str = TEXT) -> str:
    return params_file.assign(text, "one", assignment)


@pytest.mark.parametrize(
    ("assignment", "before", "after"),
    [
        ("one.seed=11", "seed: 7 # lucky", "seed: 11 # lucky"),
        ("one.empty=3", "empty:\n", "empty: 3\n"),
        ("one.seed=", "seed: 7 # lucky", "seed: null # lucky"),
        ("one.threat.eps=4/255", "eps: 8/255", "eps: 4/255"),
        ("one.threat.norm=L2", 'norm: "Linf"', "norm: L2"),
        ("one.threat.norm=a, b", 'norm: "Linf"', 'norm: "a, b"'),
        ("one.threat.access=white", '"Linf"}', '"Linf", access: white}'),
        ("one.relations.1=e <= f", "'c <= d'", "e <= f"),
        ("one.members.1.rate=1", "rate: 0.5", "rate: 1"),
        ("one.members.0.share=0.2", "share: 0.1", "share: 0.2"),
        ("one.members.1.share=0.2", "rate: 0.5\n", "rate: 0.5\n    share: 0.2\n"),
        ("one.extra={a: [1, 2]}", "rate: 0.5\n", "rate: 0.5\n  extra: {a: [1, 2]}\n"),
        ("one.relations=[]", "- a <= b\n    # between\n    - 'c <= d'", "[]"),
        ("one.threat={eps: 1}", '{eps: 8/255, norm: "Linf"}', "{eps: 1}"),
    ],
)
def test_nothing_but_the_value_changes(assignment: str, before: str, after: str) -> None:
    assert TEXT.count(before) == 1
    assert put(assignment) == TEXT.replace(before, after)


CHANGES = [
    ["one.seed=11"],
    ["one.threat.eps=4/255", "one.threat.norm=L2"],
    ["one.threat.access=white"],
    ["one.threat.access=white", "one.threat.queries=3"],
    ["one.threat={access: white}"],
    ["one.threat={access: white}", "one.threat.access=black"],
    ["one.threat.access=white", "one.threat={access: black}"],
    ["one.relations.1=e <= f"],
    ["one.members.1.share=0.2", "one.members.0.share=0.9"],
    ["one.extra={a: [1, 2]}"],
]


@pytest.mark.parametrize("assignments", CHANGES, ids=str)
def test_what_was_assigned_is_taken_back_and_what_else_was_changed_stays(
    assignments: list[str],
) -> None:
    after = TEXT
    for assignment in assignments:
        after = put(assignment, after)
    person = ("seed: 8", "seed: 9 # mine")
    kept = params_file.undo(after.replace(*person), assignments, before=TEXT, after=after)
    assert kept == TEXT.replace(*person)


@pytest.mark.parametrize("assignment", ["one.relations=[]", "one.empty=3"])
def test_a_list_of_lines_and_an_empty_value_come_back_as_values(assignment: str) -> None:
    after = put(assignment)
    kept = params_file.undo(after.replace("lucky", "mine"), [assignment], before=TEXT, after=after)
    assert params_file.parse(kept) == params_file.parse(TEXT)
    assert "seed: 7 # mine" in kept


@pytest.mark.parametrize(
    ("mine", "yours"), [("seed: 11 ", "seed: 12 "), ("  seed: 11 # lucky\n", "")]
)
def test_what_a_person_has_changed_again_or_removed_is_not_taken_back(
    mine: str, yours: str
) -> None:
    after = put("one.seed=11")
    changed = after.replace(mine, yours)
    assert changed != after
    assert params_file.undo(changed, ["one.seed=11"], before=TEXT, after=after) == changed


def test_a_text_that_is_no_longer_yaml_is_not_touched() -> None:
    after = put("one.seed=11")
    with pytest.raises(ParamsError, match="is not YAML"):
        params_file.undo(after + "one: [", ["one.seed=11"], before=TEXT, after=after)


def test_every_value_of_the_projects_own_file_can_be_put_where_it_is() -> None:
    text = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
    document = params_file.parse(text)
    for model in params_file.names(document):
        for key, value in document[model]["threat"].items():
            is_block = isinstance(value, list | dict)
            spelled = json.dumps(value) if is_block else value
            changed = params_file.assign(text, model, f"{model}.threat.{key}={spelled}")
            assert params_file.parse(changed) == document
            assert is_block or changed == text


def test_lines_that_end_as_on_windows_stay_so(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    changed = put("one.seed=11", params_file.text_of(path))
    assert changed == TEXT.replace("seed: 7", "seed: 11").replace("\n", "\r\n")


def test_what_two_models_share_is_not_changed_for_both() -> None:
    shared = "models: [one, two]\none: {threat: &t {eps: 1}}\ntwo: {threat: *t}\n"
    with pytest.raises(ParamsError, match=r"one\.threat\.eps cannot be changed .* change it in"):
        put("one.threat.eps=2", shared)


def test_a_merged_section_is_left_to_people() -> None:
    shared = "models: [one, two]\none: &o {seed: 1, eps: 1}\ntwo:\n  <<: *o\n"
    with pytest.raises(ParamsError, match=r"two\.seed cannot be changed .* change it in"):
        params_file.assign(shared, "two", "two.seed=2")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("one.seed", "is not an override such as"),
        ("=1", "is not an override such as"),
        ("one..seed=1", "is not an override such as"),
        ("one=1", "one is no key of one"),
        ("models=[three]", "models is no key of one"),
        ("two.seed=1", "two.seed is no key of one"),
        ("threat.eps=1", "threat.eps is no key of one; did you mean one.threat.eps?"),
        ("one.tread.eps=1", "no key one.tread.eps: no tread; did you mean threat?"),
        ("one.seed.more=1", "what should hold more is the value 7"),
        ("one.relations.2=x", "2 is not a position from 0 to 1"),
        ("one.relations.-1=x", "-1 is not a position from 0 to 1"),
        ("one.members.first.share=x", "first is not a position from 0 to 1"),
        ("one.seed=[", "one.seed: '[' is not a YAML value"),
        ("one.seed=!!python/name:os.system", "is not a YAML value"),
    ],
)
def test_an_override_that_leads_nowhere_says_where_it_stopped(assignment: str, said: str) -> None:
    with pytest.raises(ParamsError) as raised:
        put(assignment)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must map model names to sections"),
        ("- one", "must map model names to sections"),
        ("one: {}", "models: must list the model sections"),
        ("models: one", "models: must list the model sections"),
        ("models: []", "models: must list the model sections"),
        ("models: [one]\none: [1", "line 2 is not YAML: expected ',' or ']'"),
        ("models: [one]\none:\n  a: 1\n  a: 2", 'line 4 is not YAML: found duplicate key "a"'),
        (
            "models: [one]\nnoe: {}",
            "models lists one, but there is no section one; did you mean noe",
        ),
        ("models: [one]\none: 3", "one = 3: must be a section of keys"),
        ("models: [two]\ntwo: {}", "has no model 'one'; it has two"),
        ("models: [ones]\nones: {}", "has no model 'one'; did you mean ones?; it has ones"),
        ("models: [one]\none: !!python/object/apply:os.getcwd []", "line 2 is not YAML"),
    ],
)
def test_a_file_that_is_not_params_is_refused_by_what_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as raised:
        params_file.check_model("one", path)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_missing_file_a_folder_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"none\.yaml is missing; run hardgate inside a project"):
        params_file.text_of(tmp_path / "none.yaml")
    with pytest.raises(ParamsError, match="cannot be read as UTF-8 text"):
        params_file.text_of(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ParamsError, match="cannot be read as UTF-8 text"):
        params_file.text_of(tmp_path / "bytes")


def test_checking_a_name_loads_nothing_heavy() -> None:
    code = "import sys, hardgate.params_file; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "pandas", "pydantic", "prefect"}.isdisjoint(done.stdout.split())
