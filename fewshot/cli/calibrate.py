"""`fewshot calibrate`: fit a temperature on the subjects that a model was trained on."""

from pathlib import Path

from episodes.catalog.loader import Loader
from episodes.errors import DataError
from fewshot.cli.options import Calibrate
from fewshot.experiments.episode_mix import make_source
from fewshot.experiments.options import EpisodeMix, Train
from fewshot.experiments.run_record import read_split, recorded_dataset, recorded_hold_out
from fewshot.experiments.split import make_split, open_catalog
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
    if (command.model / CALIBRATION).exists() and not command.output.overwrite:
        raise DataError(
            f"{command.model} is calibrated already ({CALIBRATION}); replace that with --overwrite"
        )
    remembered = read_split(command.model)
    data = command.data or Path(remembered["data"])
    catalog = open_catalog(data, recorded_dataset(remembered, command.model))
    parts = make_split(catalog, recorded_hold_out(remembered, command.model))
    if parts.train.fingerprint != remembered["train_fingerprint"]:
        raise DataError(f"{data} is not the data set that {command.model} was trained on")
    network = load_network(command.model)
    network.calibration = Calibration()
    mix = EpisodeMix(superpixels=command.superpixels)
    asked = Train(data, mix=mix, train=EpisodeTraining(seed=command.seed))
    source = make_source(parts.train, asked, Loader(network.settings.size))
    found = fit(network, source, command.episodes, bias=command.bias)
    save_calibration(found, command.model)
    print(
        f"temperature {found.temperature:.3f}, bias {found.bias:+.3f}, from {command.episodes} "
        f"episodes of {len(parts.train.subjects)} training subjects; in "
        f"{command.model / 'calibration.json'}"
    )
    return 0
