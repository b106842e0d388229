"""The names of the namespace, and the module that defines each."""

from .fitting import FittedBaseline as FittedBaseline, fit as fit, names as names
