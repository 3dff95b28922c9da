"""What every member promises, and what augment() makes of them together."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from hardgate import progress
from hardgate.augmentations import Augmenting, surrogate
from hardgate.errors import ContractError, ParamsError
from hardgate.samples import Samples

GAN = {"steps": 20, "batch_size": 32, "rate": 0.002, "width": 32, "confidence": 0.2}
TABLE = [
    {"name": "noise", "share": 0.3, "scale": 0.1},
    {"name": "missing", "share": 0.3, "rate": 0.3},
    {"name": "swap", "share": 0.3, "rate": 0.5},
    {"name": "oversample", "share": 1.0, "jitter": 0.05},
    {
        "name": "adversarial",
        "share": 0.2,
        "attack": {
            "name": "constrained-pgd",
            "step_size": 0.2,
            "steps": 4,
            "restarts": 1,
            "check_every": 2,
        },
    },
    {"name": "gan", "share": 0.2, **GAN},
    {
        "name": "replay",
        "share": 0.2,
        "versions": 2,
        "attack": {
            "name": "constrained-pgd",
            "step_size": 0.2,
            "steps": 4,
            "restarts": 1,
            "check_every": 2,
        },
    },
]
IMAGES = [
    {"name": "corruption", "share": 0.3, "severities": [1, 3]},
    {
        "name": "adversarial",
        "share": 0.1,
        "attack": {"name": "pgd", "step_size": 0.1, "steps": 4, "restarts": 1},
    },
    {"name": "gan", "share": 0.1, **GAN},
    {
        "name": "replay",
        "share": 0.1,
        "versions": 2,
        "attack": {"name": "pgd", "step_size": 0.1, "steps": 4, "restarts": 1},
    },
]
CASES = [("table", m) for m in TABLE] + [("images", m) for m in IMAGES]
NAMES = [f"{kind}-{member['name']}" for kind, member in CASES]


@pytest.fixture
def world(request, table, images):
    return {"table": table, "images": images}[request.param]


@pytest.mark.parametrize(("world", "member"), CASES, ids=NAMES, indirect=["world"])
def test_a_member_keeps_its_contract(world, member) -> None:
    before = world.train.inputs.clone()
    corpus, (tally,) = world.run(member)
    n = len(world.train)
    assert torch.equal(before.nan_to_num(-9), world.train.inputs.nan_to_num(-9))
    assert torch.equal(corpus.inputs[:n].nan_to_num(-9), before.nan_to_num(-9))
    assert torch.equal(corpus.labels[:n], world.train.labels)
    assert corpus.inputs.dtype == world.train.inputs.dtype
    assert corpus.labels.dtype == torch.int64 and (corpus.rows[n:] == -1).all()
    assert len(corpus) - n == tally.added > 0
    assert tally.name == member["name"] and {"out of range", "duplicate"} <= set(tally.dropped)
    assert set(corpus.labels.tolist()) <= set(world.train.labels.tolist())


@pytest.mark.parametrize(("world", "member"), CASES, ids=NAMES, indirect=["world"])
def test_the_same_seed_adds_the_same_bytes_and_another_does_not(world, member) -> None:
    first, again, other = (world.added(member, seed=seed) for seed in (1, 1, 2))
    assert first.inputs.numpy().tobytes() == again.inputs.numpy().tobytes()
    assert first.labels.numpy().tobytes() == again.labels.numpy().tobytes()
    assert first.inputs.numpy().tobytes() != other.inputs.numpy().tobytes()


@pytest.mark.parametrize(("world", "member"), CASES, ids=NAMES, indirect=["world"])
def test_no_made_sample_is_a_training_sample_or_made_twice(world, member) -> None:
    corpus, _ = world.run(member)
    seen = [row.numpy().tobytes() for row in corpus.inputs]
    made = seen[len(world.train) :]
    assert len(set(made)) == len(made)
    assert not set(made) & set(seen[: len(world.train)])


@pytest.mark.parametrize("member", TABLE, ids=[m["name"] for m in TABLE])
def test_made_rows_have_the_types_ranges_and_relations_of_the_table(table, member) -> None:
    income, debts, job = table.added(member).inputs.T
    for values, column in zip((income, debts), table.spec.columns, strict=False):
        known = values[~values.isnan()]
        assert column.low <= known.min() and known.max() <= column.high
    whole = debts[~debts.isnan()]
    assert torch.equal(whole, whole.round()), "an integer column holds a fraction"
    assert set(job.tolist()) <= {-1.0, 0.0, 1.0, 2.0}
    known = ~income.isnan() & ~debts.isnan()
    assert (debts[known] <= income[known] + 1e-3).all(), "a row owes more than it earns"


def test_leaving_one_member_out_leaves_what_the_others_draw(table) -> None:
    both = table.added(TABLE[1], TABLE[2])
    alone = table.added(TABLE[2])
    made = both.inputs[-len(alone) :]
    assert torch.equal(made.nan_to_num(-9), alone.inputs.nan_to_num(-9))


def test_two_members_of_one_name_do_not_make_the_same(table) -> None:
    _, tallies = table.run(TABLE[0], TABLE[0])
    assert [tally.name for tally in tallies] == ["noise", "noise"]
    assert min(tally.added for tally in tallies) > 100, "the second drew what the first drew"


def test_no_members_add_nothing(table) -> None:
    corpus, tallies = table.run()
    assert len(corpus) == len(table.train) and tallies == ()


def test_images_may_be_floats(images) -> None:
    floats = Samples(images.train.floats(), images.train.labels, images.train.rows)
    world = replace(images, train=floats)
    for member in IMAGES:
        added = world.added(member)
        assert added.inputs.dtype == torch.float32 and len(added) > 0
        assert added.inputs.min() >= 0 and added.inputs.max() <= 1


def test_one_surrogate_is_trained_for_all_who_ask_and_none_for_nobody(
    table, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    train = surrogate.train
    monkeypatch.setattr(surrogate, "train", lambda *a, **k: trained.append(1) or train(*a, **k))
    table.run(TABLE[0])
    assert trained == []
    asking = {"name": "gan", "share": 0.1, **GAN}
    table.run(asking, asking)
    assert trained == [1]


def test_progress_is_reported_for_members_and_within_the_gan(table) -> None:
    steps: dict[str, int] = {}

    class Counter(progress.Silent):
        def started(self, step: str, total: int | None) -> None:
            steps[step] = 0

        def advanced(self, step: str) -> None:
            steps[step] += 1

    with progress.listening(Counter()):
        table.run({"name": "gan", "share": 0.1, **GAN})
    assert steps["augmentation"] == 1 and steps["gan"] == 20


@pytest.mark.parametrize(
    ("world", "member", "said"),
    [
        ("table", IMAGES[0], "'corruption' is for images, the data are table"),
        ("images", TABLE[0], "'noise' is for table, the data are images"),
        ("table", IMAGES[1], "takes images"),
        ("images", TABLE[4], "constrained-pgd"),
        ("table", {**TABLE[0], "columns": ["wealth"]}, "no column 'wealth'"),
        ("table", {**TABLE[0], "columns": ["job"]}, "'job' is categorical"),
        ("table", {**TABLE[2], "columns": ["income"]}, "'income' is real"),
    ],
    indirect=["world"],
)
def test_a_member_that_does_not_fit_the_data_is_refused_before_any_work(
    world, member, said
) -> None:
    with pytest.raises(ParamsError) as refusal:
        world.run(member)
    assert said in str(refusal.value)


def test_swapping_without_categories_is_refused(table) -> None:
    spec = table.spec.model_copy(update={"columns": table.spec.columns[:2]})
    train = Samples(table.train.inputs[:, :2], table.train.labels, table.train.rows)
    with pytest.raises(ParamsError, match="no categorical column; remove this member"):
        type(table)(train, spec, table.threat).run(TABLE[2])


def test_an_empty_training_split_is_refused(table) -> None:
    nothing = table.train.take(torch.arange(0))
    with pytest.raises(ContractError, match="nothing to augment"):
        type(table)(nothing, table.spec, table.threat).run(TABLE[0])


@pytest.mark.parametrize("member", [TABLE[4], TABLE[5]], ids=["adversarial", "gan"])
def test_a_member_that_asks_the_surrogate_needs_its_params(member) -> None:
    with pytest.raises(ValidationError, match="surrogate is missing"):
        Augmenting.model_validate({"members": [member]})


@pytest.mark.parametrize(
    "change", [{"share": 1.5}, {"share": -0.1}, {"scale": 0}, {"sclae": 1}, {"scale": "nan"}]
)
def test_params_out_of_range_or_misspelt_are_refused(change) -> None:
    with pytest.raises(ValidationError):
        Augmenting.model_validate({"members": [{**TABLE[0], **change}]})


def test_numbers_that_decide_have_no_default() -> None:
    with pytest.raises(ValidationError) as refusal:
        Augmenting.model_validate({"members": [{"name": "gan"}]})
    missing = {error["loc"][-1] for error in refusal.value.errors()}
    assert missing >= {"share", "steps", "confidence"}
