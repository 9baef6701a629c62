"""Compiled kernels for training and prediction on a CPU, where TensorFlow's own operations leave much of it unused."""
