"""The registries of the parts of models, training and evaluation; imports none of the parts."""

from typing import Any

from episodes.registry import Registry

HEADS: Registry[Any] = Registry(
    "head",
    "register_head",
    ("fewshot.models.heads", "fewshot.models.meta_learning"),
    "fewshot.heads",
)
"""Of `fewshot.models.heads.base.HeadEntry`."""

LOSSES: Registry[Any] = Registry("loss", "register_loss", ("fewshot.losses",), "fewshot.losses")
"""Of functions `loss(logits, target, *, ignore_index)`, see `fewshot.losses`. One that has an
argument `class_weights` gets those of the background and the classes."""

register_loss = LOSSES.register

METRICS: Registry[Any] = Registry(
    "metric",
    "register_metric|_register_counted",
    ("fewshot.metrics.mask_scores",),
    "fewshot.metrics",
)
"""Of `fewshot.metrics.mask_scores.MaskMetric`."""

PAIR_LOSSES: Registry[Any] = Registry(
    "pair loss", "register_pair_loss", ("fewshot.siamese.losses",), "fewshot.pair_losses"
)
"""Of `fewshot.siamese.losses.base.PairLossEntry`."""

MINERS: Registry[Any] = Registry(
    "miner",
    "register_miner|register_anchor_miner",
    ("fewshot.siamese.miners",),
    "fewshot.miners",
)
"""Of the `AnchorMiner` and `TripletMiner` of `fewshot.siamese.miners.base`."""

PREDICTORS: Registry[Any] = Registry(
    "predictor",
    "register_predictor",
    ("fewshot.inference.predictors", "fewshot.baselines", "fewshot.baselines.deep"),
    "fewshot.predictors",
)
"""Of classes that follow `fewshot.inference.predictors.base.Predictor`."""

BASELINES: Registry[Any] = Registry(
    "baseline", "register_baseline", ("fewshot.evaluation.confusion_counts",), "fewshot.baselines"
)
"""Of functions `baseline(truth, size, stride)` that make a method without a network, see
`fewshot.evaluation.confusion_counts.Method`; size and stride are those of the compared squares."""

register_baseline = BASELINES.register

STEPS: Registry[Any] = Registry(
    "step",
    "register_step",
    (
        "fewshot.pipeline.preprocess",
        "fewshot.pipeline.segment",
        "fewshot.pipeline.postprocess",
        "fewshot.pipeline.analyse",
    ),
    "fewshot.steps",
)
"""Of the subclasses of `fewshot.pipeline.step.Step`."""

register_step = STEPS.register
