"""Common region and continuity: the labelling whose border is short and lies on edges."""

from types import ModuleType

import numpy as np
import torch

from episodes.errors import ModelError
from fewshot.inference.postprocessing.edge_weights import edge_weights

_LEAST = 1e-6  # probability below which a pixel's cost no longer rises


def graph_cut(foreground: np.ndarray, image: np.ndarray, strength: float) -> np.ndarray:
    """Find the cheapest labelling into foreground and background exactly.

    E(y) = sum_i -log p(y_i) + strength sum_ij w_ij [y_i != y_j] over neighbours i, j, with w from
    `edge_weights`; a minimum cut of the grid has the lowest E of all labellings.

    Args:
        foreground: probability [height width] of the class.
        image: [channel height width].
        strength: cost of a pixel of border where there is no edge; 0 gives foreground > 0.5.

    Returns:
        bool [height width].

    Raises:
        ModelError: PyMaxflow is not installed.

    Paper: Boykov and Jolly, Interactive graph cuts for optimal boundary and region segmentation,
    ICCV 2001.
    """
    library = _maxflow()
    inside = -np.log(foreground.astype(np.float64).clip(_LEAST, 1))
    outside = -np.log((1 - foreground.astype(np.float64)).clip(_LEAST, 1))
    height, width = foreground.shape
    down, right = _weights(image)
    graph = library.Graph[float](height * width, 2 * height * width)
    nodes = graph.add_grid_nodes((height, width))
    for weights, structure, full in (
        (right, [[0, 0, 0], [0, 0, 1], [0, 0, 0]], (slice(None), slice(-1))),
        (down, [[0, 0, 0], [0, 0, 0], [0, 1, 0]], (slice(-1), slice(None))),
    ):
        capacities = np.zeros((height, width))
        capacities[full] = strength * weights
        graph.add_grid_edges(nodes, capacities, np.array(structure), symmetric=True)
    # A node on the sink's side pays its capacity from the source.
    graph.add_grid_tedges(nodes, inside, outside)
    graph.maxflow()
    return graph.get_grid_segments(nodes)


def cut_energy(
    labelling: np.ndarray, foreground: np.ndarray, image: np.ndarray, strength: float
) -> float:
    """Return E of a labelling (bool [height width]); see `graph_cut`."""
    chance = np.where(labelling, foreground, 1 - foreground).astype(np.float64)
    down, right = _weights(image)
    borders = (down * np.diff(labelling.astype(int), axis=0) ** 2).sum()
    borders += (right * np.diff(labelling.astype(int), axis=1) ** 2).sum()
    return float(-np.log(chance.clip(_LEAST, 1)).sum() + strength * borders)


def _weights(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    links = edge_weights(torch.from_numpy(np.asarray(image, np.float64))[None])
    return links.down[0].numpy(), links.right[0].numpy()


def _maxflow() -> ModuleType:
    try:
        import maxflow
    except ImportError as error:
        raise ModelError(
            "the graph cut needs PyMaxflow; uv pip install 'fewshot-segmentation[cut]', or "
            "smooth with the walker"
        ) from error
    return maxflow
