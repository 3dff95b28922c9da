from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hardgate import candidates, serving
from hardgate.architectures import MLP, SmallCNN
from hardgate.errors import DataError
from hardgate.records import Column, ColumnType, ImageInput, TableInput

TABLE = TableInput(
    kind="table",
    columns=(
        Column(name="amount", type=ColumnType.REAL, mean=0, scale=1, low=-1, high=1),
        Column(
            name="sex",
            type=ColumnType.CATEGORICAL,
            categories=("1", "2"),
            mean=0,
            scale=1,
            low=0,
            high=1,
        ),
    ),
    classes=("paid", "defaulted"),
)
IMAGES = ImageInput(
    kind="images", shape=(1, 4, 4), classes=("a", "b", "c"), mean=(0.1,), scale=(0.3,)
)
FRAME = pd.DataFrame({"amount": [0.5, -1.0, np.nan], "sex": [1, 2, 1]}, index=[7, 8, 9])


@pytest.fixture
def table(tmp_path: Path) -> serving.Served:
    architecture = MLP(name="mlp", hidden=(3,))
    model = candidates.build(architecture, TABLE)
    candidates.save(tmp_path, architecture, TABLE, model)
    return serving._load_pyfunc(str(tmp_path))


@pytest.fixture
def images(tmp_path: Path) -> serving.Served:
    architecture = SmallCNN(name="small-cnn", channels=2, hidden=3)
    model = candidates.build(architecture, IMAGES)
    candidates.save(tmp_path, architecture, IMAGES, model)
    return serving._load_pyfunc(str(tmp_path))


def test_a_frame_gets_a_frame_of_probabilities_with_its_own_index(table: serving.Served) -> None:
    answer = table.predict(FRAME, params=None)
    assert isinstance(answer, pd.DataFrame)
    assert list(answer.columns) == ["paid", "defaulted"]
    assert list(answer.index) == [7, 8, 9]
    assert np.allclose(answer.sum(axis=1), 1)


def test_the_answer_is_the_models_own(table: serving.Served) -> None:
    rows = torch.tensor([[0.5, 0.0], [-1.0, 1.0], [torch.nan, 0.0]])
    expected = table.model(rows).softmax(1).detach().numpy()
    assert np.allclose(table.predict(FRAME), expected)


def test_the_order_of_columns_and_strangers_among_them_do_not_matter(
    table: serving.Served,
) -> None:
    mixed = FRAME[["sex", "amount"]].assign(note="hello")
    assert np.array_equal(table.predict(mixed), table.predict(FRAME))


def test_categories_may_be_numbers_or_text(table: serving.Served) -> None:
    text = FRAME.assign(sex=["1", "2", "1.0"])
    assert np.array_equal(table.predict(text), table.predict(FRAME))


def test_nothing_asked_is_nothing_answered(table: serving.Served) -> None:
    assert np.asarray(table.predict(FRAME.iloc[:0])).shape == (0, 2)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.drop(columns="amount"), "the request lacks .*'amount'"),
        (FRAME.assign(sex=[1, 2, 3]), "column 'sex': '3' is none of '1', '2'"),
        (FRAME.assign(amount=np.inf), "column 'amount': 'inf' is infinite"),
        (FRAME.assign(amount="much"), "column 'amount': 'much' is not a number"),
        (pd.concat([FRAME, FRAME[["sex"]]], axis=1), "'sex' twice"),
        (FRAME.to_numpy(), "a data frame with named columns; found ndarray"),
    ],
    ids=["missing column", "unknown category", "infinite", "text", "twice", "array"],
)
def test_rows_the_model_cannot_have_meant_are_refused(
    table: serving.Served, frame: pd.DataFrame, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        table.predict(frame)


def test_images_may_be_floats_or_bytes(images: serving.Served) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1030, 1, 4, 4), dtype=np.uint8)
    answer = images.predict(pixels)
    assert answer.shape == (1030, 3)
    assert np.allclose(answer, images.predict(pixels / 255.0), atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 1, 4, 5)), r"shape \(n, 1, 4, 4\); found .* \(2, 1, 4, 5\)"),
        (np.zeros((1, 4, 4)), r"found an array of shape \(1, 4, 4\)"),
        (np.full((1, 1, 4, 4), 1.5), "found 1.5 to 1.5"),
        (np.full((1, 1, 4, 4), np.nan), "found nan to nan"),
        (np.full((1, 1, 4, 4), -np.inf), "found -inf to -inf"),
        (np.zeros((1, 1, 4, 4), dtype=np.int64), "floats in .* or bytes; found int64"),
    ],
    ids=["shape", "no batch", "too bright", "NaN", "infinite", "integers"],
)
def test_images_the_model_cannot_have_meant_are_refused(
    images: serving.Served, pixels: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        images.predict(pixels)


@pytest.mark.parametrize("spec", [TABLE, IMAGES])
def test_made_up_inputs_are_answered_and_lie_where_the_training_rows_do(spec, request) -> None:
    served = request.getfixturevalue("table" if spec is TABLE else "images")
    inputs = serving.made_up(spec, 5)
    assert len(served.predict(serving.example(spec, inputs))) == 5
    assert inputs.min() >= -1
    assert inputs.max() <= 1
