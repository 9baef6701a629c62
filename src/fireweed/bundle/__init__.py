"""The saved model: written, checked before anything is built of it, opened; and weights taken from files."""

from fireweed.bundle.saved import Bundle, bundle_files, open_bundle, write_bundle
from fireweed.bundle.weights import load_weights

__all__ = ["Bundle", "bundle_files", "load_weights", "open_bundle", "write_bundle"]
