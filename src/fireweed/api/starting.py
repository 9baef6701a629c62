"""Bringing up the framework for one command."""

from fireweed.devices import DeviceChoice, choose_device, confirm, prepare_process
from fireweed.reporting import Reporter


def start_framework(reporter: Reporter) -> DeviceChoice:
    """Choose a device, prepare the process and import the backend, for commands that do not train."""
    choice = choose_device()
    for warning in choice.warnings:
        reporter.warn(warning)
    prepare_process(choice)  # what came too late for a short command is not worth a word
    return confirm(choice)


def start_measuring(choice: DeviceChoice, reporter: Reporter) -> DeviceChoice:
    """Prepare the process and import the backend of a choice, for commands that measure; say what could not be set."""
    for note in (*choice.warnings, *prepare_process(choice)):
        reporter.warn(note)
    return confirm(choice)
