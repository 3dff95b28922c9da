from __future__ import annotations

import numpy as np
import pytest
import torch

from hardgate.attribution import explain

pytestmark = pytest.mark.slow  # shap takes seconds to import and to compile

CPU = torch.device("cpu")


def test_the_shap_library_agrees_on_a_table_and_leaves_numpys_generator_alone(
    explaining, table, additive, train, test
):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    params = explaining.model_copy(update={"reference": 4})
    found = explain(
        params, table, additive, train=train, test=test, seed=4, device=CPU, perturb=None
    )
    assert found.measurements["explanation/reference_agreement"].lower > 0.9999
    assert np.array_equal(np.random.get_state()[1], before)


def test_the_shap_library_agrees_on_images(
    explaining_images, pictures, network, image_train, image_test
):
    params = explaining_images.model_copy(update={"reference": 4})
    found = explain(
        params,
        pictures,
        network,
        train=image_train,
        test=image_test,
        seed=4,
        device=CPU,
        perturb=None,
    )
    assert found.measurements["explanation/reference_agreement"].lower > 0.98
