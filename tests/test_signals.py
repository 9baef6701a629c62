"""SIGTERM and Ctrl-C on the command line: saved, told, and the exit code that a shell expects."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fireweed.training.checkpoints import newest_checkpoint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
ASK = ["train", "--data", "drawn", "--model", "conv 8 | gap", "--side", "16", "--epochs", "500", "--compile", "none",
       "--checkpoint-minutes", "0"]  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_says_how_to_go_on_and_exits_with_its_code(tmp_path, number, code):
    command = [sys.executable, "-m", "fireweed", *ASK, "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    history = tmp_path / "run" / "history.csv"
    while process.poll() is None and not history.exists():
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate()
    assert process.returncode == code, said
    assert "the same command goes on from the last checkpoint" in said and "fireweed: stopped" in said
    assert "Traceback" not in said
    found, notes = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert found is not None and not notes


def test_sigterm_before_anything_began_is_told_too():
    program = (
        "import os, signal\nimport fireweed.cli\nfrom fireweed import entry\n"
        "fireweed.cli.main = lambda: os.kill(os.getpid(), signal.SIGTERM)\nentry.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 143 and done.stderr.strip() == "fireweed: stopped"
