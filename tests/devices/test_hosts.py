"""Several hosts join, or it is said why not, and host 0's word holds on all of them."""

import json
import os
import socket
import subprocess
import sys

import pytest

from fireweed.devices import hosts as module
from fireweed.devices.choice import DeviceChoice
from fireweed.devices.cluster import call_of
from fireweed.devices.hosts import ALONE, Hosts, join
from fireweed.devices.layout import lay_out
from fireweed.errors import DeviceError

ON_JAX = DeviceChoice("cpu", 1, "Plain CPU", "jax", "float32")
ON_TENSORFLOW = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32")
PAIR = """
import json, sys
import numpy as np
from fireweed.devices import choose_device, confirm
from fireweed.devices import hosts as module
from fireweed.devices.cluster import call_of
from fireweed.devices.coordination import leave_word, words_left
from fireweed.devices.hosts import join
from fireweed.errors import FireweedError
address, index = sys.argv[1], int(sys.argv[2])
module.PIECE_BYTES = 4096
choice = choose_device("cpu", backend="jax")
hosts = join(call_of(address, 2, index), choice)
confirm(choice)
hosts.check_devices()
mine = np.random.default_rng(index).bytes(100_003)

def told(call):
    try:
        return call()
    except FireweedError as error:
        return str(error)

def refuse():
    raise FireweedError(f"host {index} cannot")

leave_word(f"test/{index}", f"host {index} was here")
hosts.settle(str)
print("GOT", json.dumps({
    "words": sorted(words_left("test")), "none": words_left("nobody"),
    "count": hosts.count, "index": hosts.index,
    "broadcast": hosts.broadcast(mine) == np.random.default_rng(0).bytes(100_003),
    "empty": hosts.broadcast(b"" if index == 0 else b"other").decode(),
    "settled": hosts.settle(lambda: {"from": index}),
    "gathered": [len(text) for text in hosts.gather(lambda: "x" * (10 + 9000 * index))],
    "failed": told(lambda: hosts.gather(refuse if index == 1 else str)),
    "refused": told(lambda: hosts.settle(refuse)),
    "alike": told(lambda: hosts.require_alike({"recipe": "a", "photos": "b"})),
    "unlike": told(lambda: hosts.require_alike({"recipe": "a", "photos": str(index)})),
    "devices": [hosts.device_numbers(1)[0] == 0, len(set(hosts.device_numbers(1)))],
}))
hosts.leave()
"""


def test_one_host_decides_for_itself_and_nothing_is_imported():
    assert join(None, ON_TENSORFLOW) is ALONE
    assert ALONE.settle(lambda: 7) == 7 and ALONE.broadcast(b"x") == b"x"
    program = (
        "import sys\nfrom fireweed.devices.hosts import ALONE\n"
        "ALONE.require_alike({'a': 'b'}); ALONE.check_devices(); ALONE.leave(); print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_only_jax_joins_hosts():
    with pytest.raises(DeviceError, match="--backend jax"):
        join(call_of("127.0.0.1:1234", 2, 0, {}), ON_TENSORFLOW)


def test_a_coordinator_that_does_not_answer_or_cannot_have_its_port_is_an_error(free_port, monkeypatch):
    monkeypatch.setattr(module, "JOIN_SECONDS", 0.2)
    with pytest.raises(DeviceError, match=r"could not be reached in 0\.2 s"):
        join(call_of(f"127.0.0.1:{free_port}", 2, 1, {}), ON_JAX)
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(DeviceError, match=f"port {port} of --coordinator cannot be taken"):
            join(call_of(f"127.0.0.1:{port}", 2, 0, {}), ON_JAX)


def test_hosts_that_cannot_share_a_batch_are_told_which_numbers_can():
    with pytest.raises(DeviceError, match=r"64 cannot be shared by 3 hosts; start 2, 4, 8, 16, 32, 64 of them.*=63\)"):
        lay_out(ON_JAX, 64, hosts=Hosts(3, 0))


def test_what_another_host_leaves_behind_is_told_as_its_loss(monkeypatch):
    monkeypatch.setattr(module.atexit, "register", lambda function: None)
    with pytest.raises(module.HostLostError, match="the same command on every host goes on"), \
            Hosts(2, 0).losses_noticed():  # fmt: skip
        raise RuntimeError("Gloo all-reduce failed: Connection closed by peer")
    with pytest.raises(RuntimeError, match="shapes"), Hosts(2, 0).losses_noticed():
        raise RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError, match="Gloo"), ALONE.losses_noticed():
        raise RuntimeError("Gloo")


def test_two_hosts_agree_on_what_host_0_says(free_port):
    address = f"127.0.0.1:{free_port}"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PAIR, address, str(index)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "jax"},
        )
        for index in range(2)
    ]
    said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    got = [json.loads(out.split("GOT ")[1]) for out, _ in said]
    for index, one in enumerate(got):
        assert (one["count"], one["index"]) == (2, index)
        assert one["words"] == ["host 0 was here", "host 1 was here"] and one["none"] == []
        assert one["broadcast"] and one["empty"] == ""
        assert one["settled"] == {"from": 0}
        assert one["gathered"] == [10, 9010] and one["failed"].endswith("host 1 cannot")
        assert one["refused"] == "host 0 cannot"
        assert one["alike"] is None and "host 1 has another photos than host 0" in one["unlike"]
        assert one["devices"] == [True, 2]
