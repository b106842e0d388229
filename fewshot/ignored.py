"""The label of pixels that do not count, and masks of 0 and 255 that are taken for labels.

255 is the label of unknown pixels by default. In a black and white mask it is the foreground, all
of which would be left out of a loss or a score. So a target or reference in which nothing but 255
is labelled is refused, unless the caller gave `ignore_index` and so defined what 255 is.
"""


class _Default(int):
    """An integer that differs from an equal one by identity."""


DEFAULT = _Default(255)
"""The default of `ignore_index`: 255, where something else is labelled, too."""


def is_black_white(ignore_index: int | None, labelled: bool, counted: int, pixels: int) -> bool:
    """Whether a mask of 0 and 255 was taken for labels.

    Args:
        ignore_index: as the caller gave it, or `DEFAULT`.
        labelled: whether any pixel has a label other than 0 and `ignore_index`.
        counted: how many pixels have another label than `ignore_index`.
        pixels: how many there are.

    Returns:
        True where 0 and 255 occur and nothing else; False where nothing but 255 does.

    Example:
        >>> is_black_white(DEFAULT, labelled=False, counted=5, pixels=9)
        True
        >>> is_black_white(255, labelled=False, counted=5, pixels=9)
        False
    """
    return ignore_index is DEFAULT and not labelled and 0 < counted < pixels


def black_white(name: str) -> ValueError:
    """Make the error about a mask of 0 and 255."""
    return ValueError(
        f"{name} holds 0 and 255 alone, as a black and white mask does, but 255 is the label of "
        f"unknown pixels, so nothing of it would count; give labels, e.g. {name} > 0 as integers, "
        "or ignore_index=255 if these pixels are unknown indeed"
    )
