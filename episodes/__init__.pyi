"""The names of the package, and the module that defines each: see `episodes/__init__.py`."""

from . import bundled as bundled
from .augmentation.base import Transform as Transform
from .augmentation.compose import (
    Augment as Augment,
    Compose as Compose,
    PerImage as PerImage,
    MEDICAL as MEDICAL,
    SSL_ALPNET as SSL_ALPNET,
    Sometimes as Sometimes,
)
from .augmentation.intensity import (
    BiasField as BiasField,
    Blur as Blur,
    Gamma as Gamma,
    GaussianNoise as GaussianNoise,
    Ghosting as Ghosting,
    HistogramShift as HistogramShift,
    Invert as Invert,
    LowResolution as LowResolution,
    RicianNoise as RicianNoise,
)
from .augmentation.spatial import (
    Affine as Affine,
    CropResize as CropResize,
    CutOut as CutOut,
    Elastic as Elastic,
    Flip as Flip,
    Warp as Warp,
)
from .catalog.catalog import Catalog as Catalog, Sample as Sample
from .catalog.class_areas import compute_class_areas as compute_class_areas
from .catalog.class_report import describe_classes as describe_classes
from .catalog.duplicates import find_duplicates as find_duplicates
from .catalog.folds import (
    class_folds as class_folds,
    cross_folds as cross_folds,
    subject_folds as subject_folds,
)
from .catalog.image_classes import with_image_classes as with_image_classes
from .catalog.leakage import LeakageAudit as LeakageAudit, audit_leakage as audit_leakage
from .catalog.letterbox import intensity_range as intensity_range
from .catalog.loader import Loader as Loader
from .catalog.splits import (
    Split as Split,
    draw_subjects as draw_subjects,
    split_catalog as split_catalog,
)
from .errors import (
    DataError as DataError,
    EpisodeError as EpisodeError,
    FewshotError as FewshotError,
    ModelError as ModelError,
)
from .io.pixels import IGNORE as IGNORE, MaskRef as MaskRef, PixelRef as PixelRef
from .io.read import (
    read_image as read_image,
    read_labels as read_labels,
    read_mask as read_mask,
    read_planes as read_planes,
)
from .plugins import load_plugin as load_plugin
from .protocols.adnet import AdnetSettings as AdnetSettings, adnet as adnet
from .protocols.aggregate import (
    ConfusionCounts as ConfusionCounts,
    ProtocolScore as ProtocolScore,
    score_protocol as score_protocol,
)
from .protocols.alpnet import AlpnetSettings as AlpnetSettings, alpnet as alpnet
from .protocols.base import Case as Case, Protocol as Protocol
from .protocols.fss1000 import fss1000 as fss1000
from .protocols.full_volume import (
    FullVolumeSettings as FullVolumeSettings,
    full_volume as full_volume,
)
from .protocols.one_image import OneImageSettings as OneImageSettings, one_image as one_image
from .protocols.pascal5i import Pascal5iSettings as Pascal5iSettings, pascal5i as pascal5i
from .protocols.registry import (
    ProtocolOptions as ProtocolOptions,
    build_protocol as build_protocol,
)
from .protocols.verification import Verification as Verification, verification as verification
from .readers import read_catalog as read_catalog, register_reader as register_reader
from .sampling.dataloader import BatchLoader as BatchLoader
from .sampling.episode import (
    Episode as Episode,
    EpisodeBatch as EpisodeBatch,
    Plan as Plan,
    collate as collate,
)
from .sampling.episode_lists import (
    EpisodeList as EpisodeList,
    draw_list as draw_list,
    load_list as load_list,
)
from .sampling.pair_batch import PairBatch as PairBatch
from .sampling.pairs import PairSampler as PairSampler, PairSettings as PairSettings
from .sampling.plans import hash_plans as hash_plans
from .sampling.sampler import EpisodeSampler as EpisodeSampler, EpisodeSource as EpisodeSource
from .sampling.settings import EpisodeSettings as EpisodeSettings
from .sampling.superpixel_cache import RegionCache as RegionCache
from .sampling.superpixel_sampler import (
    Mixture as Mixture,
    SuperpixelSampler as SuperpixelSampler,
    SuperpixelSettings as SuperpixelSettings,
    STRONG as STRONG,
)
from .sampling.superpixels import Felzenszwalb as Felzenszwalb, Slic as Slic
from .sampling.supervoxel_sampler import SupervoxelSampler as SupervoxelSampler
from .sampling.supervoxels import MergedVoxels as MergedVoxels, SlicVoxels as SlicVoxels
from .sampling.task_set import TaskSet as TaskSet
from .sampling.rotated_classes import RotatedClasses as RotatedClasses
from .synthetic.emoji import EmojiSampler as EmojiSampler, EmojiSettings as EmojiSettings
from .synthetic.sampler import (
    SyntheticSampler as SyntheticSampler,
    SyntheticSettings as SyntheticSettings,
)
