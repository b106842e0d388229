"""Options whose values are names of registered parts, such as `--head`."""

from typing import Any

from tyro.constructors import PrimitiveConstructorSpec

from episodes.registry import Registry


class Choice(PrimitiveConstructorSpec[str]):
    """Marks a string as one of the names of some registries, those of plugins included.

    The names are read when a command is parsed, not when its options are defined: by then plugins
    are loaded. What stands for the names is not imported.

    Args:
        registries: of the parts.
    """

    registries: tuple[Registry[Any], ...]

    def __init__(self, *registries: Registry[Any]) -> None:
        set_field = object.__setattr__  # the base is a frozen dataclass
        set_field(self, "registries", registries)
        set_field(self, "nargs", 1)
        set_field(self, "instance_from_str", lambda words: words[0])
        set_field(self, "is_instance", lambda value: isinstance(value, str))
        set_field(self, "str_from_instance", lambda value: [value])

    # Without these the base compares the names, for which all installed packages are read.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[int, ...]:
        return tuple(map(id, self.registries))

    @property
    def choices(self) -> tuple[str, ...]:
        """The names."""
        return tuple(name for registry in self.registries for name in registry.names())

    @property
    def metavar(self) -> str:
        """The names as the help lists them."""
        return "{" + ",".join(self.choices) + "}"
