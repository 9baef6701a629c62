"""What asks for several hosts, and what is refused."""

import pytest

from fireweed.devices.cluster import HostCall, call_of
from fireweed.errors import DeviceError

SLURM = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}


def test_the_three_options_say_it_all():
    assert call_of("10.0.0.1:1234", 4, 3, {}) == HostCall("10.0.0.1:1234", 4, 3, "--hosts 4")
    assert call_of(environ={}) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("10.0.0.1:1234", 4, None), "no --host;"),
        ((None, 4, 1), "no --coordinator"),
        (("10.0.0.1:1234", None, None), "no --hosts and no --host"),
        (("10.0.0.1:1234", 4, 4), "--hosts 4 --host 4"),
        (("10.0.0.1:1234", 4, -1), "--hosts 4 --host -1"),
        (("10.0.0.1", 4, 1), "received '10.0.0.1'"),
        (("10.0.0.1:port", 4, 1), "received '10.0.0.1:port'"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(given, says):
    with pytest.raises(DeviceError, match=says):
        call_of(*given, {})


@pytest.mark.parametrize(
    ("environ", "by"),
    [
        (SLURM, "SLURM"),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),  # a shell within the job
        ({"OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:3", "OMPI_COMM_WORLD_SIZE": "2"}, "Open MPI"),
        ({"OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:3", "OMPI_COMM_WORLD_SIZE": "1"}, None),
        ({"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "0"}, "the Cloud TPU's environment"),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
    ],
)
def test_a_cluster_is_known_by_its_variables_and_left_by_one_host_alone(environ, by):
    call = call_of(environ=environ)
    assert (call and call.by) == by
    assert call_of(hosts=1, environ=environ) is None
    assert call_of(hosts=8, environ=environ).count == 8  # JAX finds the rest out
