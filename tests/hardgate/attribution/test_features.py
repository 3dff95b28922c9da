from __future__ import annotations

import pytest
import torch

from hardgate.attribution import features
from hardgate.errors import ParamsError


def test_a_tables_features_are_its_columns_and_categories_are_not_continuous(table):
    found = features.of(table, None)
    assert found.names == ("income", "debt", "age", "children", "place")
    assert found.continuous.tolist() == [True, True, True, True, False]


def test_an_images_features_are_regions_that_cover_every_pixel_once(pictures):
    found = features.of(pictures, 3)  # 8 pixels: regions of 3, 3 and 2
    assert len(found.names) == 9
    sizes = found.sum(torch.ones(1, 1, 8, 8))
    assert sizes.tolist() == [[9, 9, 6, 9, 9, 6, 6, 6, 4]]
    assert found.names[5] == "y 3-5, x 6-7"


def test_what_is_said_of_a_feature_is_said_of_its_pixels(pictures):
    found = features.of(pictures, 4)
    chosen = torch.tensor([[False, True, False, False]])
    spread = found.spread(chosen)
    assert spread.shape == (1, 1, 8, 8)
    assert spread[0, 0, :4, 4:].all()
    assert spread.sum() == 16


def test_a_region_fits_images_only_and_inside_them(table, pictures):
    with pytest.raises(ParamsError, match="region is for images"):
        features.of(table, 4)
    with pytest.raises(ParamsError, match="region is missing"):
        features.of(pictures, None)
    with pytest.raises(ParamsError, match="9 pixels, the images are 8 x 8"):
        features.of(pictures, 9)
