"""learn2learn, imported when it is needed."""

import contextlib
import io
import warnings
from types import ModuleType

from episodes.errors import ModelError


def algorithms() -> ModuleType:
    """Import `learn2learn.algorithms`.

    Raises:
        ModelError: learn2learn is not installed.
    """
    try:
        # It imports gym, which warns of its own age on standard error.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            import learn2learn.algorithms
    except ImportError as error:
        raise ModelError(
            "gradient-based methods need learn2learn; uv pip install 'fewshot-segmentation[meta]'"
        ) from error
    return learn2learn.algorithms
