"""Answers to the labs' exercises that are nearly right: the checks must refuse each of them."""

NEARLY_RIGHT = {
    "neuron": {
        "no relu": "neuron = lambda inputs, weights, bias: inputs @ weights + bias",
        "no bias": "neuron = lambda inputs, weights, bias: max(0.0, inputs @ weights)",
        "the bias behind relu": "neuron = lambda inputs, weights, bias: max(0.0, inputs @ weights) + bias",
    },
    "dense_weights": {
        "no biases": "dense_weights = lambda inputs, neurons: inputs * neurons",
        "one bias for all": "dense_weights = lambda inputs, neurons: inputs * neurons + 1",
    },
    "softmax": {
        "of the whole batch": "softmax = lambda logits: np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()",
        "not for large logits": "softmax = lambda logits: np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)",
        "no powers": "softmax = lambda logits: logits / logits.sum(axis=1, keepdims=True)",
    },
    "cross_entropy": {
        "the sign turned": "cross_entropy = lambda p, one_hot: (one_hot * np.log(p)).sum(axis=1).mean()",
        "the mean over classes too": "cross_entropy = lambda p, one_hot: -(one_hot * np.log(p)).mean()",
        "the sum over photos": "cross_entropy = lambda p, one_hot: -(one_hot * np.log(p)).sum()",
        "another logarithm": "cross_entropy = lambda p, one_hot: -(one_hot * np.log2(p)).sum(axis=1).mean()",
    },
    "momentum": {
        "uphill": """def step(position, velocity, gradient, learning_rate, momentum):
    velocity = momentum * velocity + learning_rate * gradient
    return position + velocity, velocity""",
        "no momentum": """def step(position, velocity, gradient, learning_rate, momentum):
    velocity = -learning_rate * gradient
    return position + velocity, velocity""",
        "the old velocity": """def step(position, velocity, gradient, learning_rate, momentum):
    return position + velocity, momentum * velocity - learning_rate * gradient""",
        "only the position": """def step(position, velocity, gradient, learning_rate, momentum):
    return position + momentum * velocity - learning_rate * gradient""",
    },
    "slide": {
        "no relu": """def slide(photo, weights, bias):
    side = weights.shape[0]
    rows, columns = photo.shape[0] - side + 1, photo.shape[1] - side + 1
    return np.array([[(photo[y:y + side, x:x + side] * weights).sum() + bias for x in range(columns)] for y in range(rows)])""",
        "the filter turned around": """def slide(photo, weights, bias):
    side = weights.shape[0]
    rows, columns = photo.shape[0] - side + 1, photo.shape[1] - side + 1
    turned = weights[::-1, ::-1]
    return np.array([[max(0, (photo[y:y + side, x:x + side] * turned).sum() + bias) for x in range(columns)] for y in range(rows)])""",
        "the last row left out": """def slide(photo, weights, bias):
    side = weights.shape[0]
    rows, columns = photo.shape[0] - side, photo.shape[1] - side
    return np.array([[max(0, (photo[y:y + side, x:x + side] * weights).sum() + bias) for x in range(columns)] for y in range(rows)])""",
    },
    "conv_weights": {
        "no biases": "conv_weights = lambda side, channels, filters: side * side * channels * filters",
        "one channel": "conv_weights = lambda side, channels, filters: side * side * filters + filters",
    },
    "max_pool": {
        "the mean": """def max_pool(cube):
    high, wide, channels = cube.shape
    return cube.reshape(high // 2, 2, wide // 2, 2, channels).mean(axis=(1, 3))""",
        "the first of each window": "max_pool = lambda cube: cube[::2, ::2]",
        "channels mixed": """def max_pool(cube):
    high, wide, channels = cube.shape
    most = cube.reshape(high // 2, 2, wide // 2, 2, channels).max(axis=(1, 3, 4))
    return np.repeat(most[..., None], channels, axis=2)""",
    },
    "reach": {
        "strides left out": "reach = lambda layers: 1 + sum(side - 1 for side, stride in layers)",
        "windows that do not overlap": "reach = lambda layers: sum(side for side, stride in layers)",
    },
    "net_line": {
        "too many weights": "line = 'conv 32 | pool | conv 64 | pool | conv 64 | pool | conv 64 | gap'",
        "sees too little": "line = 'conv 16 | pool | conv 16 | pool | conv 16 | gap'",
        "no such word": "line = 'conf 16 | pool | gap'",
    },
    "read_record": {
        "bytes not decoded": """def read_record(record):
    found = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string), "class": tf.io.FixedLenFeature([], tf.int64)})
    return found["image"], found["class"]""",
        "scaled to 0..1": """def read_record(record):
    found = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string), "class": tf.io.FixedLenFeature([], tf.int64)})
    return tf.io.decode_jpeg(found["image"], channels=3) / 255, found["class"]""",
        "grey stays grey": """def read_record(record):
    found = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string), "class": tf.io.FixedLenFeature([], tf.int64)})
    return tf.io.decode_jpeg(found["image"]), found["class"]""",
        "numpy in the graph": """def read_record(record):
    found = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string), "class": tf.io.FixedLenFeature([], tf.int64)})
    return tf.io.decode_jpeg(found["image"].numpy(), channels=3), found["class"]""",
    },
    "pipeline_rate": {
        "always the slowest": "pipeline_rate = lambda rates, at_once: rates.min()",
        "always in turn": "pipeline_rate = lambda rates, at_once: 1 / (1 / rates).sum()",
        "the mean": "pipeline_rate = lambda rates, at_once: rates.min() if at_once else rates.mean()",
    },
    "busy_share": {
        "the way down left out": "busy_share = lambda rows, side: rows / (rows + side - 1)",
        "off by two": "busy_share = lambda rows, side: rows / (rows + 2 * side)",
        "no share": "busy_share = lambda rows, side: rows",
    },
    "to_bfloat16": {
        "rounded": "import ml_dtypes; to_bfloat16 = lambda values: values.astype(ml_dtypes.bfloat16).astype(np.float32)",
        "float16": "to_bfloat16 = lambda values: values.astype(np.float16).astype(np.float32)",
        "the lower half": "to_bfloat16 = lambda values: (values.view(np.uint32) & np.uint32(0xFFFF)).view(np.float32)",
        "not read as float": "to_bfloat16 = lambda values: values.view(np.uint32) & np.uint32(0xFFFF0000)",
    },
    "combined": {
        "the mean of means": "combined = lambda gradients, counts: gradients.mean(axis=0)",
        "the sum": "combined = lambda gradients, counts: gradients.sum(axis=0)",
        "divided by replicas": "combined = lambda gradients, counts: (gradients * counts[:, None]).sum(axis=0) / len(counts)",
    },
    "sent_numbers": {
        "one round": "sent_numbers = lambda devices, weights: (devices - 1) * weights / devices",
        "all to all": "sent_numbers = lambda devices, weights: (devices - 1) * weights",
        "as many steps as devices": "sent_numbers = lambda devices, weights: 2 * weights",
    },
}
