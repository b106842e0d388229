"""How the slices of a DICOM volume lie to each other: gaps, uneven steps, tilted gantries."""

import numpy as np

from episodes.io.dicom.planes import Plane


def spacing_notes(planes: list[Plane], name: str) -> list[str]:
    """Note missing slices and oblique stacks.

    Args:
        planes: of one volume, in order.
        name: of the volume, for the notes.
    """
    placed = [plane for plane in planes if plane.position is not None and plane.height is not None]
    if len(placed) < 3:
        return []
    heights = np.array([plane.height for plane in placed])
    gaps = np.diff(heights)
    middle = float(np.median(gaps))
    found = []
    wide = np.flatnonzero(gaps > 1.5 * middle)
    if middle > 0 and wide.size:
        at = int(wide[0])
        found.append(
            f"volume {name}: {gaps[at]:.3g} mm between slices {at} and {at + 1}, {middle:.3g} mm "
            f"between most ({wide.size} such gaps); are slices missing? They are put side by side"
        )
    elif middle > 0 and np.ptp(gaps) > 0.1 * middle:
        found.append(
            f"volume {name}: slices lie {gaps.min():.3g} to {gaps.max():.3g} mm apart; they are "
            "put side by side"
        )
    step = np.array(placed[-1].position) - np.array(placed[0].position)
    length = float(heights[-1] - heights[0])
    lean = float(np.sqrt(max(float(step @ step) - length**2, 0.0)))
    if lean > 0.02 * length:
        found.append(
            f"volume {name} leans (a tilted gantry): its last slice is moved by {lean:.3g} mm in "
            "its plane against the first; it is read as it is"
        )
    return found
