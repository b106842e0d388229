"""Names of classes as they are typed."""

from episodes.errors import DataError
from episodes.masks.label_map import LabelMap, parse_label_map


def parse_names(names: tuple[str, ...]) -> LabelMap | None:
    """Read `1=liver 2=spleen 255=unknown`, or a single name for every non-zero value.

    Values may be ranges (`128-255=cell`) and colours (`red=cell`); see `parse_label_map`.

    >>> parse_names(("1=liver", "2=spleen"))
    {1: 'liver', 2: 'spleen'}
    >>> parse_names(("nucleus",))
    'nucleus'
    """
    if not names:
        return None
    if len(names) == 1 and "=" not in names[0]:
        return parse_label_map({"instances": names[0]})
    pairs = [name.partition("=") for name in names]
    if any(not mark for _, mark, _ in pairs):
        raise DataError(f"classes are {' '.join(names)!r}; expected 1=liver 2=spleen, or one name")
    values = [value for value, _, _ in pairs]
    if len(set(values)) < len(values):
        raise DataError(f"classes are {' '.join(names)!r}: a value has two names")
    return parse_label_map({value: name for value, _, name in pairs})
