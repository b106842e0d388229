"""The checker of shape annotations in tests; a whole number may stand for a float, as usual."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
