"""Several hosts that train together: whether they are asked for, what they cannot do, what they must agree on."""

from typing import TYPE_CHECKING

from fireweed.devices import DeviceChoice
from fireweed.devices.cluster import HostCall, call_of
from fireweed.devices.hosts import ALONE, Hosts, join
from fireweed.devices.supervision import run_in_child
from fireweed.errors import DeviceError
from fireweed.recipe import Recipe
from fireweed.run import RunFacts

if TYPE_CHECKING:
    from fireweed.api.training import TrainRequest


def host_call(request: "TrainRequest") -> HostCall | None:
    """Return what says that several hosts train together; None: this one does alone."""
    return call_of(request.coordinator, request.hosts, request.host)


def train_in_child(request: "TrainRequest") -> int | None:
    """Carry out this command line in a child process where several hosts train; return its exit code.

    None: the request is to be carried out in this process. For the command line.
    """
    return None if host_call(request) is None else run_in_child()


def joined_hosts(request: "TrainRequest", asked: Recipe, choice: DeviceChoice) -> Hosts:
    """Join the other hosts, if there are any, before JAX starts.

    Raises:
        DeviceError: they cannot be joined, or what is asked for can be done on one host only.
    """
    call = host_call(request)
    if call is None:
        return ALONE
    if asked.model.freeze or request.minutes is not None:
        what = "the training of a frozen net" if asked.model.freeze else "--minutes"
        remedy = "--no-freeze" if asked.model.freeze else "--epochs"
        raise DeviceError(
            f"{what} goes on one host only, and {call.by} says that several train together; take {remedy}, or train "
            "on this one alone with --hosts 1"
        )
    return join(call, choice)


def check_agreement(hosts: Hosts, request: "TrainRequest", facts: RunFacts, choice: DeviceChoice) -> None:
    """Make sure that all hosts were asked for the same.

    Raises:
        DeviceError: on all of them, when one was not.
    """
    hosts.require_alike({
        "set of photos": facts.digest,
        "recipe or options": f"{facts.hash} {sorted(facts.options.items())}",
        "device or precision": f"{choice.kind} {choice.count} {choice.precision} {request.devices}",
    })  # fmt: skip
