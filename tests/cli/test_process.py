"""What only a process of its own can show: start-up time and Ctrl-C."""

import json
import resource
import signal
import subprocess
import sys
import time

import numpy as np

from episodes import bundled
from episodes.io.read import read_labels
from fewshot.archive.ledger import LEDGER
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import load_network

COMMAND = (sys.executable, "-m", "fewshot.cli.main")


def test_help_imports_nothing_slow():
    """Time is measured by hand (under 0.7 s); what makes it slow is checked here."""
    code = "import sys, fewshot.cli.main as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'timm', 'numpy', 'scipy', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "segment" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def interrupted(command, ready) -> tuple[int, str]:
    """Run a command until something is ready, press Ctrl-C; its exit code and what it said.

    Slow machines get minutes; a process that does not end is ended here.
    """
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + 240
            while time.monotonic() < deadline and process.poll() is None and not ready():
                time.sleep(0.02)
            assert ready(), "nothing was ready after four minutes"
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, said


def test_ctrl_c_in_training_keeps_log_and_checkpoint(tmp_path):
    run = tmp_path / "run"
    log = run / "log.jsonl"
    code, said = interrupted(
        [
            *(*COMMAND, "train", str(bundled.path("emoji")), "--out", str(run), "--size", "64"),
            *("--minutes", "5", "--batch", "1", "--superpixels", "0"),
        ],
        lambda: log.exists() and log.read_text().count("\n") > 2,
    )
    assert code == 130, said
    assert "Traceback" not in said
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    segmenter = Segmenter(load_network(run))
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    support = segmenter.learn(image, image > 128, size=64)
    assert segmenter.segment(image, support).mask.shape == (64, 64)


def nuclei_command(out):
    nuclei = bundled.path("nuclei")
    pair = (str(nuclei / "images/img2d_00.png"), "--mask", str(nuclei / "masks/img2d_00.png"))
    query = ("--query", str(nuclei / "images"), "--classes", "nucleus", "--out", str(out))
    method = ("--predictor", "end-to-end")  # the quickest
    return (*COMMAND, "segment", "--support", *pair, *query, *method)


def test_a_full_disk_is_an_error_and_leaves_no_half_file(tmp_path):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        nuclei_command(tmp_path / "out"), preexec_fn=little_room, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "is the disk full?" in done.stderr
    assert "Traceback" not in done.stderr
    # The list of results is all that is there, so that the command can go on.
    assert [path.name for path in (tmp_path / "out").iterdir()] == [LEDGER]


def test_ctrl_c_in_segmenting_leaves_whole_files(tmp_path):
    out = tmp_path / "out"
    code, said = interrupted(nuclei_command(out), (out / "img2d_00.json").exists)
    assert code in (0, 130), said  # 0: it was faster
    assert "Traceback" not in said
    assert not list(out.glob(".partial-*"))
    assert read_labels(out / "img2d_00.png").shape == (1, 256, 256)
