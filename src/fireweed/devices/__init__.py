"""Finds TPU, GPU and CPU, chooses backend and precision, says why, and prepares the process. Imports no framework."""

from fireweed.devices.choice import DeviceChoice, choose_device, confirm, describe
from fireweed.devices.process import prepare_process

__all__ = ["DeviceChoice", "choose_device", "confirm", "describe", "prepare_process"]
