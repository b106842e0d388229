"""The names of the namespace, and the module that defines each."""

from .fitting import (
    FittedBaseline as FittedBaseline,
    fit as fit,
    load as load,
    names as names,
    train as train,
)
