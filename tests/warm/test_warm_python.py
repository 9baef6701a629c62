"""A Python that has imported all runs a program as a Python started alone does."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

import warm

TOLD = """
import keras, os, sys
print(keras.backend.backend(), sys.argv, os.getcwd(), os.environ["TOLD"], sys.stdin.read(), __name__)
print("wrong", file=sys.stderr)
sys.exit(3)
"""
WAITING = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def test_arguments_streams_folder_environment_and_exit_code_are_those_of_a_process_started_alone(tmp_path):
    given = {"input": "read", "capture_output": True, "text": True, "cwd": tmp_path}
    environ = os.environ | {"TOLD": "told", "KERAS_BACKEND": "tensorflow"}
    command = [*warm.python(), "-c", TOLD, "two words"]
    done = subprocess.run(command, env=environ, check=False, **given)
    assert done.stdout == f"tensorflow ['-c', 'two words'] {tmp_path} told read __main__\n", done.stderr
    assert (done.returncode, done.stderr) == (3, "wrong\n")


def test_what_a_program_raises_ends_it_with_1_and_a_traceback():
    done = subprocess.run([*warm.python(), "-c", "1 / 0"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_who_ends_what_was_started_ends_the_program(number):
    process = subprocess.Popen([*warm.python(), "-c", WAITING], stdout=subprocess.PIPE, text=True)
    program = int(process.stdout.readline())
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "" and process.returncode == -number
    end = time.monotonic() + 20
    while psutil.pid_exists(program) and time.monotonic() < end:  # it has ended, and is waited for by its parent
        time.sleep(0.05)
    assert not psutil.pid_exists(program)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each Python starts alone")
def test_programs_do_not_see_what_others_did():
    for _ in range(2):
        program = "import keras; print(hasattr(keras, 'mark')); keras.mark = 1"
        done = subprocess.run([*warm.python(), "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"
