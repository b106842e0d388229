"""From files to episodes: catalogs, readers, splits, samplers and protocols.

    from episodes import EpisodeSampler, Loader, compute_class_areas, read_catalog

    catalog = compute_class_areas(read_catalog("scans"))
    sampler = EpisodeSampler(catalog, loader=Loader(256))
    sampler.episode(0).support_images

docs/api.md lists the names below by task. They are imported when they are first used, because torch
takes seconds to import.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
