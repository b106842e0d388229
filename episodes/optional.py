"""Optional packages, imported where they are needed."""

import importlib
from typing import Any

from episodes.errors import DataError


def import_optional(module: str, extra: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: the module's full name.
        extra: the extra of this package that installs it.

    Raises:
        DataError: it is not installed.

    >>> import_optional("math", "medical").sqrt(4)
    2.0
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"this needs {module.partition('.')[0]}, which is not installed; "
            f"try pip install 'fewshot-segmentation[{extra}]'"
        ) from error
