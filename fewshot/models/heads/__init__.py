"""One head a file, one contract: `encode_support` once a support set, `logits` for every query.

A head is registered beside its definition: `@register_head("panet", PANetSettings())` gives its
name on the command line and in saved files, its settings and what builds it. A further head is one
further file here, or a plugin (docs/plugins.md).
"""

from fewshot.models.heads.adnet import ADNetHead, ADNetSettings
from fewshot.models.heads.alpnet import ALPNetHead, ALPNetSettings
from fewshot.models.heads.anil import ANILHead, ANILSettings
from fewshot.models.heads.base import Head, HeadSettings, Support, build_head, register_head
from fewshot.models.heads.gaussian import GaussianHead, GaussianSettings
from fewshot.models.heads.gradient_settings import GradientSettings
from fewshot.models.heads.hsnet import HSNetHead, HSNetSettings
from fewshot.models.heads.insid3 import INSID3Head, INSID3Settings
from fewshot.models.heads.mixture_prototypes import (
    MixturePrototypesHead,
    MixturePrototypesSettings,
)
from fewshot.models.heads.nearest_neighbours import (
    NearestNeighboursHead,
    NearestNeighboursSettings,
)
from fewshot.models.heads.panet import PANetHead, PANetSettings
from fewshot.models.heads.pfenet_prior import PFENetPriorHead, PFENetPriorSettings
from fewshot.models.heads.ridge import RidgeHead, RidgeSettings
from fewshot.models.heads.universeg import UniverSegHead, UniverSegSettings

__all__ = [
    "ADNetHead",
    "ADNetSettings",
    "ALPNetHead",
    "ALPNetSettings",
    "ANILHead",
    "ANILSettings",
    "GaussianHead",
    "GaussianSettings",
    "GradientSettings",
    "HSNetHead",
    "HSNetSettings",
    "Head",
    "HeadSettings",
    "INSID3Head",
    "INSID3Settings",
    "MixturePrototypesHead",
    "MixturePrototypesSettings",
    "NearestNeighboursHead",
    "NearestNeighboursSettings",
    "PANetHead",
    "PANetSettings",
    "PFENetPriorHead",
    "PFENetPriorSettings",
    "RidgeHead",
    "RidgeSettings",
    "Support",
    "UniverSegHead",
    "UniverSegSettings",
    "build_head",
    "register_head",
]
