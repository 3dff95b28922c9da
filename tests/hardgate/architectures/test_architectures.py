"""What every network of the union keeps, whatever it is."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from hardgate.architectures import Architecture
from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, ImageInput, TableInput

NUMBERS = {"mean": 2.0, "scale": 3.0, "low": -9.0, "high": 9.0}
CODES = {"mean": 0.0, "scale": 1.0, "low": 0.0, "high": 2.0}
TABLE = TableInput(
    kind="table",
    columns=(
        Column(name="amount", type=ColumnType.REAL, **NUMBERS),
        Column(name="job", type=ColumnType.CATEGORICAL, categories=("a", "b", "c"), **CODES),
        Column(name="count", type=ColumnType.INTEGER, **NUMBERS),
    ),
    classes=("no", "yes"),
)
IMAGES = ImageInput(
    kind="images",
    shape=(3, 13, 10),
    classes=("a", "b", "c", "d"),
    mean=(0.5,) * 3,
    scale=(0.2,) * 3,
)
FOR_IMAGES = (
    {"name": "small-cnn"},
    {"name": "madry-cnn"},
    {"name": "wide-cnn"},
    {"name": "oriented-linear"},
)
FOR_TABLES = (
    {"name": "residual-mlp", "dropout": 0.1},
    {"name": "ft-transformer", "squash": True},
)
FOR_BOTH = ({"name": "mlp", "hidden": (8, 8), "dropout": 0.1},)
MEMBERS: TypeAdapter[Any] = TypeAdapter(Architecture)


def names(members: tuple[dict[str, Any], ...]) -> list[str]:
    return [member["name"] for member in members]


def built(member: dict[str, Any], spec: Any, seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MEMBERS.validate_python(member).build(spec).eval()


def rows(n: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.stack(
        [torch.randn(n, generator=generator), torch.arange(n) % 3, torch.arange(n) - 2.0], dim=1
    ).float()


def test_every_member_is_tried_here() -> None:
    tried = {member["name"] for member in (*FOR_IMAGES, *FOR_TABLES, *FOR_BOTH)}
    union = get_args(get_args(Architecture)[0])
    assert tried == {get_args(member.model_fields["name"].annotation)[0] for member in union}


@pytest.mark.parametrize("member", FOR_IMAGES + FOR_BOTH, ids=names(FOR_IMAGES + FOR_BOTH))
def test_images_become_one_logit_per_class(member: dict[str, Any]) -> None:
    images = torch.rand(5, *IMAGES.shape)
    assert built(member, IMAGES)(images).shape == (5, 4)


@pytest.mark.parametrize("member", FOR_TABLES + FOR_BOTH, ids=names(FOR_TABLES + FOR_BOTH))
def test_rows_become_one_logit_per_class(member: dict[str, Any]) -> None:
    assert built(member, TABLE)(rows()).shape == (5, 2)


@pytest.mark.parametrize("member", FOR_TABLES + FOR_BOTH, ids=names(FOR_TABLES + FOR_BOTH))
def test_missing_cells_give_finite_logits_and_gradients(member: dict[str, Any]) -> None:
    model, holes = built(member, TABLE), rows()
    holes[0, 0] = holes[1, 2] = torch.nan
    holes[2, 1] = -1
    holes.requires_grad_()
    logits = model(holes)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), holes)
    assert logits.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient[0, 0] == 0
    assert gradient[3, 0] != 0


@pytest.mark.parametrize("member", FOR_TABLES + FOR_BOTH, ids=names(FOR_TABLES + FOR_BOTH))
def test_a_missing_number_is_not_the_mean(member: dict[str, Any]) -> None:
    model = built(member, TABLE)
    missing, mean = rows(1), rows(1)
    missing[0, 0], mean[0, 0] = torch.nan, 2.0
    assert not torch.allclose(model(missing), model(mean))


@pytest.mark.parametrize("member", FOR_TABLES + FOR_BOTH, ids=names(FOR_TABLES + FOR_BOTH))
def test_categories_matter_and_carry_no_gradient(member: dict[str, Any]) -> None:
    model, inputs = built(member, TABLE), rows()
    other = inputs.clone()
    other[:, 1] = (other[:, 1] + 1) % 3
    assert not torch.allclose(model(inputs), model(other))
    inputs.requires_grad_()
    (gradient,) = torch.autograd.grad(model(inputs)[:, 0].sum(), inputs)
    assert (gradient[:, 1] == 0).all()


@pytest.mark.parametrize("member", FOR_TABLES + FOR_BOTH, ids=names(FOR_TABLES + FOR_BOTH))
def test_a_row_is_answered_alone(member: dict[str, Any]) -> None:
    model = built(member, TABLE)
    together, alone = model(rows()), torch.cat([model(row) for row in rows().split(1)])
    assert torch.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("member", FOR_TABLES + FOR_BOTH, ids=names(FOR_TABLES + FOR_BOTH))
@pytest.mark.parametrize("type_", [ColumnType.REAL, ColumnType.CATEGORICAL])
def test_a_table_may_have_columns_of_one_kind_only(
    member: dict[str, Any], type_: ColumnType
) -> None:
    columns = tuple(column for column in TABLE.columns if column.type is type_)
    spec = TABLE.model_copy(update={"columns": columns})
    assert built(member, spec)(torch.zeros(4, len(columns))).shape == (4, 2)


@pytest.mark.parametrize("member", FOR_IMAGES, ids=names(FOR_IMAGES))
def test_networks_for_images_refuse_tables(member: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=f"'{member['name']}' takes images .* choose mlp"):
        built(member, TABLE)


@pytest.mark.parametrize("member", FOR_TABLES, ids=names(FOR_TABLES))
def test_networks_for_tables_refuse_images(member: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=f"'{member['name']}' takes tables .* choose small-cnn"):
        built(member, IMAGES)


@pytest.mark.parametrize("member", FOR_IMAGES, ids=names(FOR_IMAGES))
def test_images_too_small_to_halve_twice_are_refused(member: dict[str, Any]) -> None:
    tiny = IMAGES.model_copy(update={"shape": (3, 3, 9)})
    with pytest.raises(ParamsError, match="these have 3 x 9"):
        built(member, tiny)


def test_width_and_heads_must_divide() -> None:
    with pytest.raises(ValidationError, match="width 30 is not a multiple of heads 4"):
        MEMBERS.validate_python({"name": "ft-transformer", "width": 30})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="small-cnn"):
        MEMBERS.validate_python({"name": "resnet-50"})


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 13, 10), (2, 4, 7)], ids=str)
def test_the_small_cnn_begins_with_a_four_by_four_convolution(shape: tuple[int, int, int]) -> None:
    """The 2 x 2 convolution over unshuffled pixels is the paper's, weights put elsewhere."""
    channels = shape[0]
    spec = ImageInput(
        kind="images",
        shape=shape,
        classes=("a", "b"),
        mean=(0.3,) * channels,
        scale=(2.0,) * channels,
    )
    model = built({"name": "small-cnn"}, spec)
    normalise, pad, unshuffle, blocks = list(model.children())[:4]
    paper = torch.nn.Conv2d(channels, 16, 4, stride=2, padding=1)
    with torch.no_grad():
        # block weight (o, 4c + 2u + v, i, j) is pixel weight (o, c, 2i + u, 2j + v)
        weight = blocks.weight.view(16, channels, 2, 2, 2, 2).permute(0, 1, 4, 2, 5, 3)
        paper.weight.copy_(weight.reshape(16, channels, 4, 4))
        paper.bias.copy_(blocks.bias)
    images = torch.rand(3, *shape)
    ours = blocks(unshuffle(pad(normalise(images))))
    assert torch.allclose(ours, paper((images - 0.3) / 2.0), atol=1e-6)
