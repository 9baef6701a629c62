"""One function a command; the only place that joins data, models, training, evaluation and serving."""

from fireweed.api.audit_table import show_audit
from fireweed.api.auditing import AuditRequest, audit, audit_text
from fireweed.api.bench_table import bench_text
from fireweed.api.benching import BenchRequest, bench
from fireweed.api.checking import check_devices
from fireweed.api.joining import train_in_child
from fireweed.api.looking import show_devices, show_model, show_models, show_photos, show_recipe, show_recipes
from fireweed.api.python import Run, build_model, open_trained, train
from fireweed.api.sharding import make_shards
from fireweed.api.training import TrainRequest, restart_prepared, train_run
from fireweed.api.using import evaluate_run, predict, predictions_text

__all__ = [
    "AuditRequest",
    "BenchRequest",
    "Run",
    "TrainRequest",
    "audit",
    "audit_text",
    "bench",
    "bench_text",
    "build_model",
    "check_devices",
    "evaluate_run",
    "make_shards",
    "open_trained",
    "predict",
    "predictions_text",
    "restart_prepared",
    "show_audit",
    "show_devices",
    "show_model",
    "show_models",
    "show_photos",
    "show_recipe",
    "show_recipes",
    "train",
    "train_in_child",
    "train_run",
]
