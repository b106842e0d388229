"""No library's message shines through where a file cannot be read."""

import json
import zlib

import numpy as np
import pytest
from PIL import Image

from episodes.errors import DataError, cause
from episodes.io.read import read_planes


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (zlib.error("Error -3 while decompressing data"), "it is damaged, or was not copied whole"),
        (PermissionError(13, "Permission denied"), "permission denied"),
        (MemoryError(), "more memory than there is"),
        (DataError("of ours"), "of ours"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "no text in UTF-8"),
    ],
)
def test_causes(error, said):
    assert said in cause(error)
    assert "Error" not in cause(error)
    assert "-3" not in cause(error)


def test_where_json_breaks_is_told():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads('{"a": 1,}')
    assert "line 1, column" in cause(caught.value)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".bmp"])
def test_files_cut_short(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    foreign = ("Error", "truncated", "decoder", "buffer", "zlib", "IDAT", "NoneType", "0x", "PIL")
    for length in (20, 60, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(DataError) as caught:
            read_planes(path)
        said = str(caught.value)
        assert path.name in said
        assert not [word for word in foreign if word in said], said
