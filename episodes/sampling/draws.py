"""Whole numbers drawn one by one from a counter-based generator, at the cost of a multiplication.

A call of `numpy.random.Generator.integers` takes longer than the whole of a draw in Python. Here
the generator's words are fetched in blocks and reduced by Lemire's method, as NumPy does it: the
numbers are those that `Generator.integers` gives, whatever NumPy's version will be.

Paper: Lemire, Fast random integer generation in an interval, ACM TOMACS 2019.
"""

import sys

import numpy as np

_BLOCK = 32  # 64-bit words fetched at once; most episodes need no second block
_WORD, _LOW = 2**32, 2**32 - 1


class Draws:
    """Numbers of a Philox generator, which must not be used until `close` is called.

    Args:
        generator: its next numbers are drawn.

    >>> make = lambda: np.random.Generator(np.random.Philox(key=[1, 2]))
    >>> draws, generator = Draws(make()), make()
    >>> [draws.below(10) for _ in range(5)] == generator.integers(10, size=5).tolist()
    True
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._source = generator.bit_generator
        self._start = self._source.state
        # NumPy keeps the second half of a 64-bit word of which only the first was needed.
        self._words = [self._start["uinteger"]] if self._start["has_uint32"] else []
        self._next = 0

    def below(self, end: int) -> int:
        """Draw a whole number from 0 to end - 1 uniformly; end is at most 2**32 - 1."""
        if end == 1:
            return 0  # takes no word, as in NumPy
        number = self._next  # the first word is taken here, not by a call: it is nearly always all
        if number == len(self._words):
            self._fetch()
        self._next = number + 1
        product = self._words[number] * end
        if product & _LOW < end:
            rejected = (_WORD - end) % end
            while product & _LOW < rejected:
                product = self._word() * end
        return product >> 32

    def close(self) -> None:
        """Leave the generator as if it had drawn these numbers itself."""
        if not self._next:
            self._source.state = self._start
            return
        taken = self._next - bool(self._start["has_uint32"])  # of words drawn since
        self._source.state = {**self._start, "has_uint32": 0, "uinteger": 0}
        words = self._source.random_raw(-(-taken // 2))
        if taken % 2:  # the upper half of the last word is the next number
            state = dict(self._source.state)
            self._source.state = state | {"has_uint32": 1, "uinteger": int(words[-1]) >> 32}

    def _word(self) -> int:
        if self._next == len(self._words):
            self._fetch()
        self._next += 1
        return self._words[self._next - 1]

    def _fetch(self) -> None:
        block = self._source.random_raw(_BLOCK).view(np.uint32)
        if sys.byteorder == "big":
            block = block.reshape(-1, 2)[:, ::-1].ravel()
        self._words += block.tolist()  # the lower half of each first
