"""Fireweed: from a folder of photos to a tested, explained, saved image classifier.

>>> import fireweed as fw
>>> catalog = fw.open_data("drawn")
>>> catalog.classes
('daisy', 'dandelion', 'roses', 'sunflowers', 'tulips')
"""

from typing import TYPE_CHECKING, Any

from fireweed.version import __version__

if TYPE_CHECKING:
    from fireweed.api import Run, build_model, open_trained, train
    from fireweed.data.catalog import Catalog, Photo
    from fireweed.data.sources import open_data
    from fireweed.errors import FireweedError

# Loaded when first asked for: what must be set before a framework is imported, and a quick --help, depend on it.
_HOMES = {
    "Catalog": "fireweed.data.catalog",
    "FireweedError": "fireweed.errors",
    "Photo": "fireweed.data.catalog",
    "Run": "fireweed.api",
    "build_model": "fireweed.api",
    "open_data": "fireweed.data.sources",
    "open_trained": "fireweed.api",
    "train": "fireweed.api",
}

__all__ = [
    "Catalog",
    "FireweedError",
    "Photo",
    "Run",
    "__version__",
    "build_model",
    "open_data",
    "open_trained",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fireweed' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
