"""What a transform is."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

Transform = Callable[[Tensor, Tensor, np.random.Generator], tuple[Tensor, Tensor]]
