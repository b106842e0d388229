"""The names of the package, and the module that defines each: see `fewshot/__init__.py`."""

from . import baselines as baselines, losses as losses, metrics as metrics, recipes as recipes
from .baselines.copy_mask import copy_mask as copy_mask, paste as paste
from .evaluation.classification import (
    ClassificationResult as ClassificationResult,
    ClassifiedQuery as ClassifiedQuery,
    embed_pixels as embed_pixels,
    evaluate_classification as evaluate_classification,
)
from .evaluation.confusion_counts import (
    CopyMask as CopyMask,
    FeatureGrid as FeatureGrid,
    GroundTruth as GroundTruth,
    count_protocol as count_protocol,
)
from .evaluation.episodic import Evaluation as Evaluation, evaluate as evaluate, predict as predict
from .evaluation.protocol_predictor import ProtocolPredictor as ProtocolPredictor
from .evaluation.retrieved_support_predictor import (
    RetrievedSupportPredictor as RetrievedSupportPredictor,
)
from .inference.postprocessing.settings import PostprocessSettings as PostprocessSettings
from .inference.instances.predictor import InstancePredictor as InstancePredictor
from .inference.instances.splitting import split_mask as split_mask
from .inference.instances.value import Instances as Instances
from .inference.inputs import ImageStack as ImageStack, image_planes as image_planes
from .inference.predictors.base import Predictor as Predictor
from .inference.predictors.build import (
    build_predictor as build_predictor,
    register_predictor as register_predictor,
)
from .inference.predictors.end_to_end import (
    EndToEndPredictor as EndToEndPredictor,
    EndToEndSettings as EndToEndSettings,
)
from .inference.predictors.multi_slice import (
    MultiSlicePredictor as MultiSlicePredictor,
    MultiSliceSettings as MultiSliceSettings,
)
from .inference.predictors.registered_slice import (
    RegisteredSlicePredictor as RegisteredSlicePredictor,
    RegisteredSliceSettings as RegisteredSliceSettings,
)
from .inference.predictors.registered_volume import (
    RegisteredVolumePredictor as RegisteredVolumePredictor,
    RegisteredVolumeSettings as RegisteredVolumeSettings,
)
from .inference.predictors.slice import (
    SlicePredictor as SlicePredictor,
    SliceSettings as SliceSettings,
)
from .inference.result import Segmentation as Segmentation
from .inference.saved_support import load_support as load_support, save_support as save_support
from .inference.segmenter import Segmenter as Segmenter
from .inference.support_set import SupportSet as SupportSet, read_support_set as read_support_set
from .inference.test_time_training import (
    TestTimeSettings as TestTimeSettings,
    adapt_to_shots as adapt_to_shots,
    adapt_to_support as adapt_to_support,
)
from .inference.volumes.atlas_propagation import AtlasPropagation as AtlasPropagation
from .inference.volumes.local_matching import LocalMatchingSettings as LocalMatchingSettings
from .inference.volumes.registered_volumes import RegisteredVolumes as RegisteredVolumes
from .inference.volumes.registration import (
    RegistrationSettings as RegistrationSettings,
    register as register,
)
from .inference.volumes.segment_volume import segment_volume as segment_volume
from .inference.volumes.self_support import SelfSupportSettings as SelfSupportSettings
from .metrics.bootstrap import Interval as Interval, bootstrap_mean as bootstrap_mean
from .metrics.mask_scores import register_metric as register_metric
from .models.calibration import Calibration as Calibration, fit_calibration as fit_calibration
from .models.checkpoint import (
    build_network as build_network,
    load_network as load_network,
    network_from_pretrained as network_from_pretrained,
    save_network as save_network,
)
from .models.embedding_network import (
    EmbeddingNetwork as EmbeddingNetwork,
    EmbeddingSettings as EmbeddingSettings,
    load_embedding as load_embedding,
    save_embedding as save_embedding,
)
from .models.encoder import EncoderSettings as EncoderSettings
from .models.heads.adnet import ADNetSettings as ADNetSettings
from .models.heads.alpnet import ALPNetSettings as ALPNetSettings
from .models.heads.anil import ANILSettings as ANILSettings
from .models.heads.base import (
    Head as Head,
    Support as Support,
    build_head as build_head,
    register_head as register_head,
)
from .models.heads.gaussian import GaussianSettings as GaussianSettings
from .models.heads.gradient_settings import GradientSettings as GradientSettings
from .models.heads.hsnet import HSNetSettings as HSNetSettings
from .models.heads.insid3 import INSID3Settings as INSID3Settings
from .models.heads.mixture_prototypes import MixturePrototypesSettings as MixturePrototypesSettings
from .models.heads.panet import PANetSettings as PANetSettings
from .models.heads.pfenet_prior import PFENetPriorSettings as PFENetPriorSettings
from .models.heads.ridge import RidgeSettings as RidgeSettings
from .models.heads.universeg import UniverSegSettings as UniverSegSettings
from .models.network import FewShotNetwork as FewShotNetwork, NetworkSettings as NetworkSettings
from .models.prototype_classifier import (
    PrototypeClassifier as PrototypeClassifier,
    mean_prototypes as mean_prototypes,
    prototype_logits as prototype_logits,
)
from .models.prototypes import class_prototypes as class_prototypes
from .models.small_encoder import SmallSettings as SmallSettings
from .models.stroke_augmentation import InkSettings as InkSettings
from .numerics import unit_rows as unit_rows
from .pipeline.analyse.classes import Classes as Classes
from .pipeline.analyse.objects import Objects as Objects
from .pipeline.analyse.separate import Separate as Separate
from .pipeline.pipeline import LearnedPipeline as LearnedPipeline, Pipeline as Pipeline
from .pipeline.postprocess.fill_holes import FillHoles as FillHoles
from .pipeline.postprocess.fuse_labels import FuseLabels as FuseLabels
from .pipeline.postprocess.largest_parts import LargestParts as LargestParts
from .pipeline.postprocess.least_size import LeastSize as LeastSize
from .pipeline.postprocess.smooth_labels import SmoothLabels as SmoothLabels
from .pipeline.preprocess.bias_field import BiasFieldCorrection as BiasFieldCorrection
from .pipeline.preprocess.contrast import Contrast as Contrast
from .pipeline.preprocess.denoise import Denoise as Denoise
from .pipeline.preprocess.normalise import Normalise as Normalise
from .pipeline.preprocess.resample import Resample as Resample
from .pipeline.preprocess.window import Window as Window
from .pipeline.segment import Segment as Segment
from .pipeline.step import (
    AnalyseStep as AnalyseStep,
    PostprocessStep as PostprocessStep,
    PreprocessStep as PreprocessStep,
)
from .pipeline.result import PipelineResult as PipelineResult
from .plots.class_sheets import class_sheets as class_sheets
from .plots.overlays import contact_sheet as contact_sheet, overlay as overlay
from .registry import register_loss as register_loss, register_step as register_step
from .siamese.collapse_monitor import CollapseMonitor as CollapseMonitor
from .siamese.cross_batch_memory import CrossBatchMemory as CrossBatchMemory
from .siamese.hard_negatives import (
    HardNegatives as HardNegatives,
    RefreshNegatives as RefreshNegatives,
)
from .siamese.losses.arcface import ArcFaceLoss as ArcFaceLoss
from .siamese.losses.base import PairLoss as PairLoss
from .siamese.losses.circle import CircleLoss as CircleLoss
from .siamese.losses.contrastive import ContrastiveLoss as ContrastiveLoss
from .siamese.losses.multi_similarity import MultiSimilarityLoss as MultiSimilarityLoss
from .siamese.losses.pair_cross_entropy import PairCrossEntropy as PairCrossEntropy
from .siamese.losses.proxy_anchor import ProxyAnchorLoss as ProxyAnchorLoss
from .siamese.losses.supervised_contrastive import (
    SupervisedContrastiveLoss as SupervisedContrastiveLoss,
)
from .siamese.losses.triplet import TripletLoss as TripletLoss
from .siamese.objective import pair_task as pair_task
from .siamese.retrieval.catalog_items import embed_catalog as embed_catalog
from .siamese.retrieval.embed import (
    embed_image as embed_image,
    embed_planes as embed_planes,
    load_embedder as load_embedder,
)
from .siamese.retrieval.index import Index as Index, Match as Match
from .siamese.retrieval.open import create_index as create_index, open_index as open_index
from .siamese.retrieval.relevance import (
    Graded as Graded,
    SameLabel as SameLabel,
    SharedLabels as SharedLabels,
)
from .siamese.retrieval.retrieval_metrics import Retrieval as Retrieval, retrieve as retrieve
from .siamese.verification.embedding_scores import EmbeddingScores as EmbeddingScores
from .siamese.verification.pairs_roc import (
    Pairs as Pairs,
    auc as auc,
    equal_error_rate as equal_error_rate,
    tar_at_far as tar_at_far,
)
from .siamese.verification.threshold import (
    Decision as Decision,
    ThresholdAudit as ThresholdAudit,
    audit_threshold as audit_threshold,
    choose_threshold as choose_threshold,
    load_decision as load_decision,
    save_decision as save_decision,
)
from .training.callbacks.figures import Figures as Figures
from .training.callbacks.log import Curves as Curves, JsonLog as JsonLog
from .training.callbacks.tensorboard import TensorBoard as TensorBoard
from .training.callbacks.validation import (
    EarlyStopping as EarlyStopping,
    KeepBest as KeepBest,
    Validation as Validation,
)
from .training.callbacks.weight_average import WeightAverage as WeightAverage
from .training.classification import classification_task as classification_task
from .training.episodic import Task as Task, episode_task as episode_task
from .training.loop import TrainResult as TrainResult, train as train
from .training.run import Callback as Callback, Run as Run
from .training.settings import TrainSettings as TrainSettings
from .training.supervised import supervised_task as supervised_task

__version__: str
