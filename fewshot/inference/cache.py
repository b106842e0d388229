"""Results that are remembered, the ones not used for the longest time being dropped first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """A bounded cache that several objects can share; `functools.lru_cache` belongs to one.

    Args:
        size: how many values are remembered.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a name, made where it is not remembered.

        >>> cache = Cache(2)
        >>> [cache.get(name, lambda: name.upper()) for name in "abacb"]
        ['A', 'B', 'A', 'C', 'B']
        >>> len(cache)
        2
        """
        if name in self._values:
            self._values.move_to_end(name)
            return self._values[name]
        value = self._values[name] = make()
        while len(self._values) > self.size:
            self._values.popitem(last=False)
        return value
