"""`fewshot calibrate`: fit a temperature on the subjects that a model was trained on."""

from pathlib import Path

from episodes.catalog.loader import Loader
from episodes.errors import DataError
from fewshot.cli.options import Calibrate
from fewshot.experiments.options import Sources, Train
from fewshot.experiments.sources import make_source
from fewshot.experiments.split import hold_out, open_catalog
from fewshot.experiments.train import read_split, remembered_held
from fewshot.models.calibration import Calibration
from fewshot.models.calibration import calibrate as fit
from fewshot.models.checkpoint import load_network, save_calibration
from fewshot.provenance import CALIBRATION
from fewshot.training.settings import EpisodeTraining


def calibrate(command: Calibrate) -> int:
    """Fit, save, and print what changed on the same episodes.

    Raises:
        DataError: the data set is not the one that the model was trained on.
    """
    if (command.model / CALIBRATION).exists() and not command.overwrite:
        raise DataError(
            f"{command.model} is calibrated already ({CALIBRATION}); replace that with --overwrite"
        )
    remembered = read_split(command.model)
    held = remembered_held(remembered, command.model)
    data = command.data or Path(remembered["data"])
    catalog = open_catalog(
        data, held.subject_pattern, held.classes, ignore_affine=held.ignore_affine
    )
    parts = hold_out(catalog, held)
    if parts.train.fingerprint != remembered["train_fingerprint"]:
        raise DataError(f"{data} is not the data set that {command.model} was trained on")
    network = load_network(command.model)
    network.calibration = Calibration()
    sources = Sources(superpixels=command.superpixels)
    asked = Train(data, sources=sources, train=EpisodeTraining(seed=command.seed))
    source = make_source(parts.train, asked, Loader(network.settings.size))
    found = fit(network, source, command.episodes, bias=command.bias)
    save_calibration(found, command.model)
    print(
        f"temperature {found.temperature:.3f}, bias {found.bias:+.3f}, from {command.episodes} "
        f"episodes of {len(parts.train.subjects)} training subjects; in "
        f"{command.model / 'calibration.json'}"
    )
    return 0
