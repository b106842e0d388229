"""What the names of protocols stand for."""

from dataclasses import asdict, replace

import pytest

from episodes.protocols import pascal5i as module
from episodes.protocols.names import IMAGE_PROTOCOLS
from episodes.protocols.registry import ImageProtocolOptions, parse_support
from tests.episodes.protocols.test_pascal5i import images

MANY = images(*[dict.fromkeys("abcdefgh", 3000)] * 4)


@pytest.mark.parametrize(
    ("name", "episodes", "expected"),
    [
        ("panet", 0, {"flavour": "panet", "layout": "rows", "walk": True, "episodes": 0}),
        ("hsnet", 7, {"flavour": "hsnet", "layout": "rows", "walk": True, "episodes": 7}),
        ("pfenet", 0, {"flavour": "pfenet", "layout": "rows", "walk": True, "episodes": 0}),
        ("coco-hsnet", 0, {"flavour": "hsnet", "layout": "interleaved", "walk": False}),
        ("coco-pfenet", 0, {"layout": "interleaved", "walk": False, "episodes": 20_000}),
        ("coco-pfenet", 9, {"flavour": "pfenet", "episodes": 9}),
    ],
)
def test_protocols_of_images(name, episodes, expected, monkeypatch):
    real = module.pascal5i

    def short(catalog, settings):  # thousands of cases take seconds
        one = real(catalog, replace(settings, episodes=1))
        return replace(one, settings=asdict(settings))

    monkeypatch.setattr(module, "pascal5i", short)
    choices = ImageProtocolOptions(0, folds=4, shot=1, episodes=episodes)
    found = IMAGE_PROTOCOLS[name](MANY, choices)
    assert {"fold": 0, "folds": 4, "shot": 1, **expected}.items() <= found.settings.items()


def test_the_published_support_depends_on_the_protocol():
    assert [parse_support(name, "published") for name in ("alpnet", "adnet", "adnet-2")] == [
        0,
        -1,
        -1,
    ]
    assert parse_support("alpnet", "all") == "all"
    assert parse_support("alpnet", "2") == 2
