import numpy as np
import pytest
from PIL import Image

from tests.fewshot.pipeline.scenes import squares


@pytest.fixture
def annotated(tmp_path):
    """A folder with an annotated image and its mask."""
    image, labels = squares((5, 5), (30, 40))
    Image.fromarray(image).save(tmp_path / "support.png")
    Image.fromarray(labels * np.uint8(255)).save(tmp_path / "support_mask.png")
    return tmp_path
