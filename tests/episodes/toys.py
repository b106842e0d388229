"""A registry for tests, of one part."""

from typing import Any

from episodes.registry import Registry

TOYS: Registry[Any] = Registry("toy", "register_toy", (__name__,), "test.toys")
register_toy = TOYS.register


@register_toy("top")
def top():
    return 0
