"""From files to episodes: catalogs, readers, splits, samplers and protocols.

    from episodes import EpisodeSampler, Loader, compute_class_areas, read_catalog

    catalog = compute_class_areas(read_catalog("scans"))
    sampler = EpisodeSampler(catalog, loader=Loader(256))
    sampler.episode(0).support_images

docs/api.md lists the names below by task. They are imported when they are first used, because torch
takes seconds to import.
"""

# ruff: noqa: I001  (one line a module)

from typing import TYPE_CHECKING

from episodes.lazy import lazy_names

if TYPE_CHECKING:  # for editors and type checkers
    from episodes import bundled as bundled
    from episodes.augmentation.base import Transform as Transform
    from episodes.augmentation.compose import (
        Augment as Augment,
        Compose as Compose,
        Each as Each,
        MEDICAL as MEDICAL,
        SSL_ALPNET as SSL_ALPNET,
        Sometimes as Sometimes,
    )
    from episodes.augmentation.intensity import (
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
    from episodes.augmentation.spatial import (
        Affine as Affine,
        CropResize as CropResize,
        CutOut as CutOut,
        Elastic as Elastic,
        Flip as Flip,
        Warp as Warp,
    )
    from episodes.catalog.catalog import Catalog as Catalog, Sample as Sample
    from episodes.catalog.class_areas import compute_class_areas as compute_class_areas
    from episodes.catalog.class_report import describe_classes as describe_classes
    from episodes.catalog.duplicates import find_duplicates as find_duplicates
    from episodes.catalog.folds import (
        class_folds as class_folds,
        cross_folds as cross_folds,
        subject_folds as subject_folds,
    )
    from episodes.catalog.image_classes import with_image_classes as with_image_classes
    from episodes.catalog.leakage import (
        LeakageAudit as LeakageAudit,
        audit_leakage as audit_leakage,
    )
    from episodes.catalog.letterbox import intensity_range as intensity_range
    from episodes.catalog.loader import Loader as Loader
    from episodes.catalog.splits import (
        Split as Split,
        draw_subjects as draw_subjects,
        split_catalog as split_catalog,
    )
    from episodes.errors import (
        DataError as DataError,
        EpisodeError as EpisodeError,
        FewshotError as FewshotError,
        ModelError as ModelError,
    )
    from episodes.io.pixels import IGNORE as IGNORE, MaskRef as MaskRef, PixelRef as PixelRef
    from episodes.io.read import (
        read_image as read_image,
        read_labels as read_labels,
        read_mask as read_mask,
        read_planes as read_planes,
    )
    from episodes.plugins import load_plugin as load_plugin
    from episodes.protocols.adnet import AdnetSettings as AdnetSettings, adnet as adnet
    from episodes.protocols.aggregate import (
        Count as Count,
        ProtocolScore as ProtocolScore,
        score_protocol as score_protocol,
    )
    from episodes.protocols.alpnet import AlpnetSettings as AlpnetSettings, alpnet as alpnet
    from episodes.protocols.base import Case as Case, Protocol as Protocol
    from episodes.protocols.fss1000 import fss1000 as fss1000
    from episodes.protocols.full_volume import (
        FullVolumeSettings as FullVolumeSettings,
        full_volume as full_volume,
    )
    from episodes.protocols.one_image import (
        OneImageSettings as OneImageSettings,
        one_image as one_image,
    )
    from episodes.protocols.pascal5i import (
        Pascal5iSettings as Pascal5iSettings,
        pascal5i as pascal5i,
    )
    from episodes.protocols.registry import Choices as Choices, lay as lay
    from episodes.protocols.verification import (
        Verification as Verification,
        verification as verification,
    )
    from episodes.readers import read_catalog as read_catalog, register_reader as register_reader
    from episodes.sampling.dataloader import BatchLoader as BatchLoader
    from episodes.sampling.episode import (
        Episode as Episode,
        EpisodeBatch as EpisodeBatch,
        Plan as Plan,
        collate as collate,
    )
    from episodes.sampling.episode_lists import (
        EpisodeList as EpisodeList,
        draw_list as draw_list,
        load_list as load_list,
    )
    from episodes.sampling.pair_batch import PairBatch as PairBatch
    from episodes.sampling.pairs import PairSampler as PairSampler, PairSettings as PairSettings
    from episodes.sampling.plans import hash_plans as hash_plans
    from episodes.sampling.sampler import (
        EpisodeSampler as EpisodeSampler,
        EpisodeSource as EpisodeSource,
    )
    from episodes.sampling.settings import EpisodeSettings as EpisodeSettings
    from episodes.sampling.superpixel_cache import RegionCache as RegionCache
    from episodes.sampling.superpixel_sampler import (
        Mixture as Mixture,
        PseudoSampler as PseudoSampler,
        PseudoSettings as PseudoSettings,
        STRONG as STRONG,
    )
    from episodes.sampling.superpixels import Felzenszwalb as Felzenszwalb, Slic as Slic
    from episodes.sampling.supervoxel_sampler import SupervoxelSampler as SupervoxelSampler
    from episodes.sampling.supervoxels import MergedVoxels as MergedVoxels, SlicVoxels as SlicVoxels
    from episodes.sampling.task_set import TaskSet as TaskSet
    from episodes.sampling.turned_classes import TurnedClasses as TurnedClasses
    from episodes.synthetic.emoji import (
        EmojiSampler as EmojiSampler,
        EmojiSettings as EmojiSettings,
    )
    from episodes.synthetic.sampler import (
        SyntheticSampler as SyntheticSampler,
        SyntheticSettings as SyntheticSettings,
    )

NAMES = {
    # Read
    "read_catalog": "episodes.readers",
    "with_image_classes": "episodes.catalog.image_classes",
    "Catalog": "episodes.catalog.catalog",
    "Sample": "episodes.catalog.catalog",
    "PixelRef": "episodes.io.pixels",
    "MaskRef": "episodes.io.pixels",
    "read_image": "episodes.io.read",
    "read_planes": "episodes.io.read",
    "read_labels": "episodes.io.read",
    "read_mask": "episodes.io.read",
    "intensity_range": "episodes.catalog.letterbox",
    "register_reader": "episodes.readers",
    "IGNORE": "episodes.io.pixels",
    # Look at a data set
    "compute_class_areas": "episodes.catalog.class_areas",
    "describe_classes": "episodes.catalog.class_report",
    "find_duplicates": "episodes.catalog.duplicates",
    "audit_leakage": "episodes.catalog.leakage",
    "LeakageAudit": "episodes.catalog.leakage",
    # Split
    "split_catalog": "episodes.catalog.splits",
    "Split": "episodes.catalog.splits",
    "draw_subjects": "episodes.catalog.splits",
    "class_folds": "episodes.catalog.folds",
    "subject_folds": "episodes.catalog.folds",
    "cross_folds": "episodes.catalog.folds",
    # Draw episodes and pairs
    "EpisodeSampler": "episodes.sampling.sampler",
    "EpisodeSettings": "episodes.sampling.settings",
    "Episode": "episodes.sampling.episode",
    "EpisodeBatch": "episodes.sampling.episode",
    "Plan": "episodes.sampling.episode",
    "Loader": "episodes.catalog.loader",
    "BatchLoader": "episodes.sampling.dataloader",
    "TurnedClasses": "episodes.sampling.turned_classes",
    "EpisodeSource": "episodes.sampling.sampler",
    "collate": "episodes.sampling.episode",
    "hash_plans": "episodes.sampling.plans",
    "EpisodeList": "episodes.sampling.episode_lists",
    "draw_list": "episodes.sampling.episode_lists",
    "load_list": "episodes.sampling.episode_lists",
    "TaskSet": "episodes.sampling.task_set",
    "PairSampler": "episodes.sampling.pairs",
    "PairSettings": "episodes.sampling.pairs",
    "PairBatch": "episodes.sampling.pair_batch",
    "Mixture": "episodes.sampling.superpixel_sampler",
    # Episodes without labels
    "PseudoSampler": "episodes.sampling.superpixel_sampler",
    "PseudoSettings": "episodes.sampling.superpixel_sampler",
    "Felzenszwalb": "episodes.sampling.superpixels",
    "Slic": "episodes.sampling.superpixels",
    "RegionCache": "episodes.sampling.superpixel_cache",
    "SupervoxelSampler": "episodes.sampling.supervoxel_sampler",
    "MergedVoxels": "episodes.sampling.supervoxels",
    "SlicVoxels": "episodes.sampling.supervoxels",
    "SyntheticSampler": "episodes.synthetic.sampler",
    "SyntheticSettings": "episodes.synthetic.sampler",
    "EmojiSampler": "episodes.synthetic.emoji",
    "EmojiSettings": "episodes.synthetic.emoji",
    # Augment
    "Augment": "episodes.augmentation.compose",
    "Compose": "episodes.augmentation.compose",
    "Sometimes": "episodes.augmentation.compose",
    "Each": "episodes.augmentation.compose",
    "Transform": "episodes.augmentation.base",
    "Affine": "episodes.augmentation.spatial",
    "Elastic": "episodes.augmentation.spatial",
    "Warp": "episodes.augmentation.spatial",
    "Flip": "episodes.augmentation.spatial",
    "CropResize": "episodes.augmentation.spatial",
    "CutOut": "episodes.augmentation.spatial",
    "Gamma": "episodes.augmentation.intensity",
    "Invert": "episodes.augmentation.intensity",
    "HistogramShift": "episodes.augmentation.intensity",
    "BiasField": "episodes.augmentation.intensity",
    "GaussianNoise": "episodes.augmentation.intensity",
    "RicianNoise": "episodes.augmentation.intensity",
    "Blur": "episodes.augmentation.intensity",
    "LowResolution": "episodes.augmentation.intensity",
    "Ghosting": "episodes.augmentation.intensity",
    "SSL_ALPNET": "episodes.augmentation.compose",
    "MEDICAL": "episodes.augmentation.compose",
    "STRONG": "episodes.sampling.superpixel_sampler",
    # Protocols
    "Protocol": "episodes.protocols.base",
    "Case": "episodes.protocols.base",
    "lay": "episodes.protocols.registry",
    "Choices": "episodes.protocols.registry",
    "alpnet": "episodes.protocols.alpnet",
    "AlpnetSettings": "episodes.protocols.alpnet",
    "adnet": "episodes.protocols.adnet",
    "AdnetSettings": "episodes.protocols.adnet",
    "full_volume": "episodes.protocols.full_volume",
    "FullVolumeSettings": "episodes.protocols.full_volume",
    "one_image": "episodes.protocols.one_image",
    "OneImageSettings": "episodes.protocols.one_image",
    "pascal5i": "episodes.protocols.pascal5i",
    "Pascal5iSettings": "episodes.protocols.pascal5i",
    "fss1000": "episodes.protocols.fss1000",
    "verification": "episodes.protocols.verification",
    "Verification": "episodes.protocols.verification",
    "Count": "episodes.protocols.aggregate",
    "score_protocol": "episodes.protocols.aggregate",
    "ProtocolScore": "episodes.protocols.aggregate",
    # Plugins and errors
    "load_plugin": "episodes.plugins",
    "FewshotError": "episodes.errors",
    "DataError": "episodes.errors",
    "EpisodeError": "episodes.errors",
    "ModelError": "episodes.errors",
}
"""Every name, and the module that defines it."""
MODULES = ("bundled",)
__all__ = [*NAMES, *MODULES]

if not TYPE_CHECKING:  # else every name would be taken for granted
    __getattr__, __dir__ = lazy_names(__name__, NAMES, MODULES)
