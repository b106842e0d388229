"""Without a network the hub's cache is used, or it is said at once that there is none."""

import http.server
import threading
import time

import pytest

from episodes.errors import ModelError
from fewshot import Segmenter
from fewshot.models import hub
from fewshot.models.encoder import Encoder, EncoderSettings
from fewshot.models.hub import answers, constants, hub_or_cache

NOWHERE = "http://127.0.0.1:9"  # the port that discards


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


def test_who_answers():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert answers(f"http://127.0.0.1:{server.server_port}")  # with an error, but it does
    assert not answers(NOWHERE)
    assert not answers("no address")


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(hub, "_SECONDS", 0.2)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        start = time.monotonic()
        assert not answers(f"http://127.0.0.1:{server.server_port}")
        assert time.monotonic() - start < 5


def test_where_nobody_answers_only_the_cache_is_asked(offline):
    before = constants.HF_HUB_OFFLINE
    with hub_or_cache():
        assert constants.HF_HUB_OFFLINE
    assert before == constants.HF_HUB_OFFLINE


@pytest.mark.filterwarnings("ignore")
def test_weights_that_cannot_be_had(offline):
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"weights of resnet10t cannot .* cannot be reached") as e:
        Encoder(EncoderSettings("resnet10t", (8,)))
    assert "tf_efficientnet_lite0, whose weights are installed" in str(e.value)
    with pytest.raises(ModelError, match=r"nobody/nothing cannot be downloaded .*give a folder"):
        Segmenter.from_pretrained("nobody/nothing")
    assert time.monotonic() - start < 20


@pytest.mark.filterwarnings("ignore")
def test_the_users_wish_to_stay_offline(offline, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        Segmenter.from_pretrained("nobody/nothing")
