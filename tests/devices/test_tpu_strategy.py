"""TPUs through TensorFlow 2.19, with a resolver and a strategy made up: this has never been run on a TPU."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from fireweed.devices import choice as choices
from fireweed.devices import tpu_strategy
from fireweed.devices.choice import DeviceChoice, choose_device, confirm
from fireweed.devices.layout import lay_out
from fireweed.devices.machine import Machine
from fireweed.devices.tpu_strategy import TpuAddress, connect
from fireweed.errors import DeviceError

LEGACY = {"tensorflow-tpu": "2.19.1"}
CHIP = {
    "sys/bus/pci/devices/0/vendor": "0x1ae0", "sys/bus/pci/devices/0/device": "0x0063",
    "sys/bus/pci/devices/0/class": "0x120000", "dev/vfio/0": "",
}  # fmt: skip


def machine(root: Path, packages: dict[str, str], files: dict[str, str] | None = None, **environ: str) -> Machine:
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Machine(
        root=root, environ=environ, system="Linux", version_of=packages.get, resolve=lambda name: "",
        backend_in_use=lambda: None, cores=lambda: 2, run=lambda command: None,
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """What was asked of a TensorFlow that is made up, with a TPU of eight cores, or one that refuses."""
    told: list[tuple] = []
    entered: list[str] = []

    def resolve(tpu, zone, project):
        told.append((tpu, zone, project))
        if tpu == "missing":
            raise ValueError("Could not lookup TPU metadata from name 'missing'.\nmore")
        return f"resolver of {tpu}"

    @contextlib.contextmanager
    def scope():
        entered.append("scope")
        yield

    distribute = SimpleNamespace(
        cluster_resolver=SimpleNamespace(TPUClusterResolver=SimpleNamespace(connect=resolve)),
        TPUStrategy=lambda resolver: SimpleNamespace(num_replicas_in_sync=8, scope=scope, resolver=resolver),
    )
    monkeypatch.setattr(tpu_strategy, "import_framework", lambda name: SimpleNamespace(distribute=distribute))
    connect.cache_clear()
    yield SimpleNamespace(told=told, entered=entered)
    connect.cache_clear()


@pytest.mark.parametrize(
    ("options", "environ", "address"),
    [
        ({"tpu": "mine", "zone": "z1", "project": "p1"}, {}, TpuAddress("mine", "z1", "p1")),
        ({}, {"TPU_NAME": "mine"}, TpuAddress("mine")),
        ({"tpu": "grpc://10.0.0.2:8470"}, {}, TpuAddress("grpc://10.0.0.2:8470")),
    ],
)
def test_a_tpu_elsewhere_is_taken_by_its_name(options, environ, address, tmp_path):
    choice = choose_device(backend="tensorflow", machine=machine(tmp_path, LEGACY, **environ), **options)
    assert (choice.kind, choice.backend, choice.precision, choice.tpu) == (
        "tpu",
        "tensorflow",
        "mixed_bfloat16",
        address,
    )
    assert f"TPU {address.name} is taken for it" in choice.reasons[0]


def test_the_tpu_in_this_machine_is_local(tmp_path):
    choice = choose_device(backend="tensorflow", machine=machine(tmp_path, LEGACY, CHIP))
    assert choice.tpu == TpuAddress("local") and choice.name == "TPU v5e"


@pytest.mark.parametrize("packages", [{"tensorflow": "2.21.0"}, {"tensorflow-tpu": "2.20.0", "tensorflow": "2.20.0"}])
def test_other_tensorflows_drive_no_tpu(packages, tmp_path):
    with pytest.raises(DeviceError, match=r"TensorFlow 2\.19 was the last that drives TPUs"):
        choose_device("tpu", backend="tensorflow", machine=machine(tmp_path, packages, CHIP))
    with pytest.raises(DeviceError, match="asks for a TPU, but this machine shows only"):
        choose_device(backend="tensorflow", tpu="mine", machine=machine(tmp_path / "other", packages))


def test_jax_is_taken_where_nobody_asks_for_tensorflow(tmp_path):
    packages = LEGACY | {"jax": "0.10.2", "libtpu": "0.0.40"}
    choice = choose_device(machine=machine(tmp_path, packages, CHIP))
    assert choice.backend == "jax" and choice.tpu is None


def test_the_strategy_is_started_once_with_name_zone_and_project(asked):
    first = connect(TpuAddress("mine", "z1", "p1"))
    assert connect(TpuAddress("mine", "z1", "p1")) is first
    assert connect(TpuAddress()).num_replicas_in_sync == 8
    assert asked.told == [("mine", "z1", "p1"), ("local", None, None)]


def test_a_tpu_that_cannot_be_started_is_told_in_one_line(asked):
    with pytest.raises(DeviceError, match="cannot start the TPU 'missing': Could not lookup TPU metadata") as raised:
        connect(TpuAddress("missing"))
    assert "\n" not in str(raised.value)


def test_all_its_cores_share_each_batch(asked, monkeypatch):
    monkeypatch.setattr(choices, "take_backend", lambda backend: None)
    monkeypatch.setattr(choices, "import_framework", lambda name: None)
    named = DeviceChoice("tpu", 1, "TPU mine", "tensorflow", "mixed_bfloat16", tpu=TpuAddress("mine"))
    choice = confirm(named)
    assert choice.count == 8
    layout = lay_out(choice, 64)
    assert layout.replicas == 8 and "shared by 8 TPU devices, 8 photos each" in layout.notes[0]
    with layout.scope():
        assert asked.entered == ["scope"]
    with pytest.raises(DeviceError, match=r"12 cannot be shared by all 8 cores.*training\.batch=16"):
        lay_out(choice, 12)
    with pytest.raises(DeviceError, match="uses all 8 cores of a TPU, received --devices 4"):
        confirm(DeviceChoice("tpu", 4, "TPU", "tensorflow", "float32", devices_asked=4, tpu=TpuAddress("mine")))
