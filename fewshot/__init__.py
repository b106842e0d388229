"""Few-shot segmentation: segmenter, networks, training, evaluation and matching.

    from fewshot import Segmenter

    segmenter = Segmenter()
    support = segmenter.learn("cell.png", "cell_mask.png")
    segmenter.segment("another.png", support).save("another_mask.png")

docs/api.md lists the names below by task; scores are in `fewshot.metrics`, losses in
`fewshot.losses`. They are imported when they are first used, because torch takes seconds to import.
"""

# ruff: noqa: I001  (one line a module)

from typing import TYPE_CHECKING

from episodes.lazy import lazy_names

if TYPE_CHECKING:  # for editors and type checkers
    from fewshot import losses as losses, metrics as metrics, recipes as recipes
    from fewshot.baselines.copy_mask import copy_mask as copy_mask, paste as paste
    from fewshot.evaluation.classification import (
        ClassificationResult as ClassificationResult,
        ClassifiedQuery as ClassifiedQuery,
        embed_pixels as embed_pixels,
        evaluate_classification as evaluate_classification,
    )
    from fewshot.evaluation.confusion_counts import (
        CopyMask as CopyMask,
        FeatureGrid as FeatureGrid,
        Truth as Truth,
        count_protocol as count_protocol,
    )
    from fewshot.evaluation.end_to_end_predictor import AsUsed as AsUsed
    from fewshot.evaluation.episodic import (
        Evaluation as Evaluation,
        evaluate as evaluate,
        predict as predict,
    )
    from fewshot.evaluation.multi_slice_predictor import (
        PlacedSlices as PlacedSlices,
        SharedSlices as SharedSlices,
    )
    from fewshot.evaluation.predictors import Model as Model
    from fewshot.evaluation.registered_volume_predictor import MatchedVolumes as MatchedVolumes
    from fewshot.evaluation.retrieved_support_predictor import MatchThenSegment as MatchThenSegment
    from fewshot.inference.postprocessing.settings import RefineSettings as RefineSettings
    from fewshot.inference.result import Segmentation as Segmentation
    from fewshot.inference.segmenter import Segmenter as Segmenter
    from fewshot.inference.support_set import Shots as Shots, read_shots as read_shots
    from fewshot.inference.test_time_training import (
        TestTimeSettings as TestTimeSettings,
        adapt_to_shots as adapt_to_shots,
        adapt_to_support as adapt_to_support,
    )
    from fewshot.inference.volumes.atlas_propagation import Relays as Relays
    from fewshot.inference.volumes.local_matching import NearbySettings as NearbySettings
    from fewshot.inference.volumes.registered_volumes import LaidVolumes as LaidVolumes
    from fewshot.inference.volumes.registration import (
        RegistrationSettings as RegistrationSettings,
        register as register,
    )
    from fewshot.inference.volumes.segment_volume import segment_volume as segment_volume
    from fewshot.inference.volumes.self_support import OwnLookSettings as OwnLookSettings
    from fewshot.metrics.bootstrap import Interval as Interval, bootstrap_mean as bootstrap_mean
    from fewshot.metrics.mask_scores import register_metric as register_metric
    from fewshot.models.calibration import (
        Calibration as Calibration,
        fit_calibration as fit_calibration,
    )
    from fewshot.models.checkpoint import (
        build_network as build_network,
        load_network as load_network,
        load_support as load_support,
        network_from_pretrained as network_from_pretrained,
        save_network as save_network,
        save_support as save_support,
    )
    from fewshot.models.embedding_network import (
        EmbeddingNetwork as EmbeddingNetwork,
        EmbeddingSettings as EmbeddingSettings,
        load_embedding as load_embedding,
        save_embedding as save_embedding,
    )
    from fewshot.models.encoder import EncoderSettings as EncoderSettings
    from fewshot.models.heads.adnet import ADNetSettings as ADNetSettings
    from fewshot.models.heads.alpnet import ALPNetSettings as ALPNetSettings
    from fewshot.models.heads.anil import ANILSettings as ANILSettings
    from fewshot.models.heads.base import (
        Head as Head,
        Support as Support,
        build_head as build_head,
        register_head as register_head,
    )
    from fewshot.models.heads.gaussian import GaussianSettings as GaussianSettings
    from fewshot.models.heads.gradient_settings import GradientSettings as GradientSettings
    from fewshot.models.heads.hsnet import HSNetSettings as HSNetSettings
    from fewshot.models.heads.insid3 import INSID3Settings as INSID3Settings
    from fewshot.models.heads.mixture_prototypes import (
        MixturePrototypesSettings as MixturePrototypesSettings,
    )
    from fewshot.models.heads.panet import PANetSettings as PANetSettings
    from fewshot.models.heads.pfenet_prior import PFENetPriorSettings as PFENetPriorSettings
    from fewshot.models.heads.ridge import RidgeSettings as RidgeSettings
    from fewshot.models.heads.universeg import UniverSegSettings as UniverSegSettings
    from fewshot.models.network import (
        FewShotNetwork as FewShotNetwork,
        NetworkSettings as NetworkSettings,
    )
    from fewshot.models.prototype_classifier import (
        PrototypeClassifier as PrototypeClassifier,
        mean_prototypes as mean_prototypes,
        prototype_logits as prototype_logits,
    )
    from fewshot.models.prototypes import class_prototypes as class_prototypes
    from fewshot.models.small_encoder import SmallSettings as SmallSettings
    from fewshot.models.stroke_augmentation import InkSettings as InkSettings
    from fewshot.numerics import unit_rows as unit_rows
    from fewshot.plots.class_sheets import class_sheets as class_sheets
    from fewshot.plots.overlays import contact_sheet as contact_sheet, overlay as overlay
    from fewshot.registry import register_loss as register_loss
    from fewshot.siamese.collapse_monitor import CollapseMonitor as CollapseMonitor
    from fewshot.siamese.cross_batch_memory import CrossBatchMemory as CrossBatchMemory
    from fewshot.siamese.hard_negatives import (
        HardNegatives as HardNegatives,
        RefreshNegatives as RefreshNegatives,
    )
    from fewshot.siamese.losses.arcface import ArcFaceLoss as ArcFaceLoss
    from fewshot.siamese.losses.base import PairLoss as PairLoss
    from fewshot.siamese.losses.circle import CircleLoss as CircleLoss
    from fewshot.siamese.losses.contrastive import ContrastiveLoss as ContrastiveLoss
    from fewshot.siamese.losses.multi_similarity import MultiSimilarityLoss as MultiSimilarityLoss
    from fewshot.siamese.losses.pair_cross_entropy import PairCrossEntropy as PairCrossEntropy
    from fewshot.siamese.losses.proxy_anchor import ProxyAnchorLoss as ProxyAnchorLoss
    from fewshot.siamese.losses.supervised_contrastive import (
        SupervisedContrastiveLoss as SupervisedContrastiveLoss,
    )
    from fewshot.siamese.losses.triplet import TripletLoss as TripletLoss
    from fewshot.siamese.objective import pair_task as pair_task
    from fewshot.siamese.retrieval.catalog_items import embed_listed as embed_listed
    from fewshot.siamese.retrieval.embed import (
        describe_image as describe_image,
        describe_planes as describe_planes,
        load_describer as load_describer,
    )
    from fewshot.siamese.retrieval.index import Index as Index, Match as Match
    from fewshot.siamese.retrieval.open import (
        create_index as create_index,
        open_index as open_index,
    )
    from fewshot.siamese.retrieval.relevance import (
        Graded as Graded,
        SameLabel as SameLabel,
        SharedLabels as SharedLabels,
    )
    from fewshot.siamese.retrieval.retrieval_metrics import (
        Retrieval as Retrieval,
        retrieve as retrieve,
    )
    from fewshot.siamese.verification.embedding_scores import Scored as Scored
    from fewshot.siamese.verification.pairs_roc import (
        Pairs as Pairs,
        auc as auc,
        equal_error_rate as equal_error_rate,
        tar_at_far as tar_at_far,
    )
    from fewshot.siamese.verification.threshold import (
        Decision as Decision,
        ThresholdAudit as ThresholdAudit,
        audit_threshold as audit_threshold,
        choose_threshold as choose_threshold,
        load_decision as load_decision,
        save_decision as save_decision,
    )
    from fewshot.training.callbacks.figures import Pictures as Pictures
    from fewshot.training.callbacks.log import Curves as Curves, JsonLog as JsonLog
    from fewshot.training.callbacks.tensorboard import Board as Board
    from fewshot.training.callbacks.validation import (
        EarlyStopping as EarlyStopping,
        KeepBest as KeepBest,
        Measure as Measure,
    )
    from fewshot.training.callbacks.weight_average import WeightAverage as WeightAverage
    from fewshot.training.classification import classification_task as classification_task
    from fewshot.training.episodic import Task as Task, episode_task as episode_task
    from fewshot.training.loop import TrainResult as TrainResult, train as train
    from fewshot.training.run import Callback as Callback, Run as Run
    from fewshot.training.settings import TrainSettings as TrainSettings
    from fewshot.training.supervised import supervised_task as supervised_task

__version__ = "0.1.0"

NAMES = {
    # Segment
    "Segmenter": "fewshot.inference.segmenter",
    "Segmentation": "fewshot.inference.result",
    "Support": "fewshot.models.heads.base",
    "Shots": "fewshot.inference.support_set",
    "read_shots": "fewshot.inference.support_set",
    "RefineSettings": "fewshot.inference.postprocessing.settings",
    "TestTimeSettings": "fewshot.inference.test_time_training",
    "adapt_to_support": "fewshot.inference.test_time_training",
    "adapt_to_shots": "fewshot.inference.test_time_training",
    "load_support": "fewshot.models.checkpoint",
    "save_support": "fewshot.models.checkpoint",
    # Networks and heads
    "Calibration": "fewshot.models.calibration",
    "FewShotNetwork": "fewshot.models.network",
    "NetworkSettings": "fewshot.models.network",
    "EncoderSettings": "fewshot.models.encoder",
    "build_network": "fewshot.models.checkpoint",
    "load_network": "fewshot.models.checkpoint",
    "save_network": "fewshot.models.checkpoint",
    "network_from_pretrained": "fewshot.models.checkpoint",
    "Head": "fewshot.models.heads.base",
    "build_head": "fewshot.models.heads.base",
    "class_prototypes": "fewshot.models.prototypes",
    "register_loss": "fewshot.registry",
    "register_metric": "fewshot.metrics.mask_scores",
    "register_head": "fewshot.models.heads.base",
    "ALPNetSettings": "fewshot.models.heads.alpnet",
    "PANetSettings": "fewshot.models.heads.panet",
    "ADNetSettings": "fewshot.models.heads.adnet",
    "HSNetSettings": "fewshot.models.heads.hsnet",
    "INSID3Settings": "fewshot.models.heads.insid3",
    "UniverSegSettings": "fewshot.models.heads.universeg",
    "MixturePrototypesSettings": "fewshot.models.heads.mixture_prototypes",
    "PFENetPriorSettings": "fewshot.models.heads.pfenet_prior",
    "GaussianSettings": "fewshot.models.heads.gaussian",
    "RidgeSettings": "fewshot.models.heads.ridge",
    "ANILSettings": "fewshot.models.heads.anil",
    "GradientSettings": "fewshot.models.heads.gradient_settings",
    "fit_calibration": "fewshot.models.calibration",
    # Volumes
    "segment_volume": "fewshot.inference.volumes.segment_volume",
    "register": "fewshot.inference.volumes.registration",
    "RegistrationSettings": "fewshot.inference.volumes.registration",
    "NearbySettings": "fewshot.inference.volumes.local_matching",
    "OwnLookSettings": "fewshot.inference.volumes.self_support",
    "Relays": "fewshot.inference.volumes.atlas_propagation",
    "LaidVolumes": "fewshot.inference.volumes.registered_volumes",
    # Train
    "train": "fewshot.training.loop",
    "Task": "fewshot.training.episodic",
    "TrainSettings": "fewshot.training.settings",
    "TrainResult": "fewshot.training.loop",
    "episode_task": "fewshot.training.episodic",
    "supervised_task": "fewshot.training.supervised",
    "Callback": "fewshot.training.run",
    "Run": "fewshot.training.run",
    "JsonLog": "fewshot.training.callbacks.log",
    "Curves": "fewshot.training.callbacks.log",
    "Measure": "fewshot.training.callbacks.validation",
    "KeepBest": "fewshot.training.callbacks.validation",
    "EarlyStopping": "fewshot.training.callbacks.validation",
    "WeightAverage": "fewshot.training.callbacks.weight_average",
    "Pictures": "fewshot.training.callbacks.figures",
    "Board": "fewshot.training.callbacks.tensorboard",
    # Evaluate
    "evaluate": "fewshot.evaluation.episodic",
    "Evaluation": "fewshot.evaluation.episodic",
    "predict": "fewshot.evaluation.episodic",
    "copy_mask": "fewshot.baselines.copy_mask",
    "paste": "fewshot.baselines.copy_mask",
    "count_protocol": "fewshot.evaluation.confusion_counts",
    "Truth": "fewshot.evaluation.confusion_counts",
    "CopyMask": "fewshot.evaluation.confusion_counts",
    "FeatureGrid": "fewshot.evaluation.confusion_counts",
    "Model": "fewshot.evaluation.predictors",
    "AsUsed": "fewshot.evaluation.end_to_end_predictor",
    "SharedSlices": "fewshot.evaluation.multi_slice_predictor",
    "PlacedSlices": "fewshot.evaluation.multi_slice_predictor",
    "MatchedVolumes": "fewshot.evaluation.registered_volume_predictor",
    "MatchThenSegment": "fewshot.evaluation.retrieved_support_predictor",
    "bootstrap_mean": "fewshot.metrics.bootstrap",
    "Interval": "fewshot.metrics.bootstrap",
    # Embed and match
    "EmbeddingNetwork": "fewshot.models.embedding_network",
    "EmbeddingSettings": "fewshot.models.embedding_network",
    "SmallSettings": "fewshot.models.small_encoder",
    "InkSettings": "fewshot.models.stroke_augmentation",
    "save_embedding": "fewshot.models.embedding_network",
    "load_embedding": "fewshot.models.embedding_network",
    "load_describer": "fewshot.siamese.retrieval.embed",
    "describe_image": "fewshot.siamese.retrieval.embed",
    "describe_planes": "fewshot.siamese.retrieval.embed",
    "embed_listed": "fewshot.siamese.retrieval.catalog_items",
    "unit_rows": "fewshot.numerics",
    "create_index": "fewshot.siamese.retrieval.open",
    "open_index": "fewshot.siamese.retrieval.open",
    "Index": "fewshot.siamese.retrieval.index",
    "Match": "fewshot.siamese.retrieval.index",
    "retrieve": "fewshot.siamese.retrieval.retrieval_metrics",
    "Retrieval": "fewshot.siamese.retrieval.retrieval_metrics",
    "SameLabel": "fewshot.siamese.retrieval.relevance",
    "SharedLabels": "fewshot.siamese.retrieval.relevance",
    "Graded": "fewshot.siamese.retrieval.relevance",
    # Classify
    "PrototypeClassifier": "fewshot.models.prototype_classifier",
    "mean_prototypes": "fewshot.models.prototype_classifier",
    "prototype_logits": "fewshot.models.prototype_classifier",
    "classification_task": "fewshot.training.classification",
    "evaluate_classification": "fewshot.evaluation.classification",
    "ClassificationResult": "fewshot.evaluation.classification",
    "ClassifiedQuery": "fewshot.evaluation.classification",
    "embed_pixels": "fewshot.evaluation.classification",
    # Train on pairs
    "pair_task": "fewshot.siamese.objective",
    "ArcFaceLoss": "fewshot.siamese.losses.arcface",
    "CircleLoss": "fewshot.siamese.losses.circle",
    "ContrastiveLoss": "fewshot.siamese.losses.contrastive",
    "MultiSimilarityLoss": "fewshot.siamese.losses.multi_similarity",
    "PairCrossEntropy": "fewshot.siamese.losses.pair_cross_entropy",
    "ProxyAnchorLoss": "fewshot.siamese.losses.proxy_anchor",
    "SupervisedContrastiveLoss": "fewshot.siamese.losses.supervised_contrastive",
    "TripletLoss": "fewshot.siamese.losses.triplet",
    "PairLoss": "fewshot.siamese.losses.base",
    "CrossBatchMemory": "fewshot.siamese.cross_batch_memory",
    "HardNegatives": "fewshot.siamese.hard_negatives",
    "RefreshNegatives": "fewshot.siamese.hard_negatives",
    "CollapseMonitor": "fewshot.siamese.collapse_monitor",
    # Verify
    "Scored": "fewshot.siamese.verification.embedding_scores",
    "Pairs": "fewshot.siamese.verification.pairs_roc",
    "choose_threshold": "fewshot.siamese.verification.threshold",
    "audit_threshold": "fewshot.siamese.verification.threshold",
    "Decision": "fewshot.siamese.verification.threshold",
    "ThresholdAudit": "fewshot.siamese.verification.threshold",
    "load_decision": "fewshot.siamese.verification.threshold",
    "save_decision": "fewshot.siamese.verification.threshold",
    "auc": "fewshot.siamese.verification.pairs_roc",
    "equal_error_rate": "fewshot.siamese.verification.pairs_roc",
    "tar_at_far": "fewshot.siamese.verification.pairs_roc",
    # Draw
    "overlay": "fewshot.plots.overlays",
    "contact_sheet": "fewshot.plots.overlays",
    "class_sheets": "fewshot.plots.class_sheets",
}
"""Every name, and the module that defines it."""
MODULES = (
    "losses",
    "metrics",
    "recipes",
)
__all__ = [*NAMES, *MODULES, "__version__"]

if not TYPE_CHECKING:  # else every name would be taken for granted
    __getattr__, __dir__ = lazy_names(__name__, NAMES, MODULES)
