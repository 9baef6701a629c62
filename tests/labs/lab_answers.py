"""Answers to the labs' exercises that are nearly right: the checks must refuse each of them."""

NEARLY_RIGHT = {
    "neuron": {
        "no relu": "neuron = lambda inputs, weights, bias: inputs @ weights + bias",
        "sigmoid": "neuron = lambda inputs, weights, bias: 1 / (1 + np.exp(-inputs @ weights - bias))",
        "no bias": "neuron = lambda inputs, weights, bias: max(0.0, inputs @ weights)",
        "the bias behind relu": "neuron = lambda inputs, weights, bias: max(0.0, inputs @ weights) + bias",
    },
    "dense_weights": {
        "no biases": "dense_weights = lambda inputs, neurons: inputs * neurons",
        "a bias for each input": "dense_weights = lambda inputs, neurons: inputs * neurons + inputs",
        "one bias for all": "dense_weights = lambda inputs, neurons: inputs * neurons + 1",
    },
    "softmax": {
        "of the whole batch": "softmax = lambda logits: np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()",
        "not for large logits": "softmax = lambda logits: np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)",
        "the smallest taken away": "softmax = lambda logits: np.exp(logits - logits.min(axis=1, keepdims=True)) / np.exp(logits - logits.min(axis=1, keepdims=True)).sum(axis=1, keepdims=True)",
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
    "fire": {
        "expanded twice as far": """def fire(x, squeeze, expand):
    y = layers.Conv2D(squeeze, 1, activation="relu")(x)
    y1 = layers.Conv2D(expand, 1, activation="relu")(y)
    return layers.Concatenate()([y1, layers.Conv2D(expand, 3, padding="same", activation="relu")(y)])""",
        "the 3x3 sees the input": """def fire(x, squeeze, expand):
    y = layers.Conv2D(squeeze, 1, activation="relu")(x)
    y1 = layers.Conv2D(expand // 2, 1, activation="relu")(y)
    return layers.Concatenate()([y1, layers.Conv2D(expand // 2, 3, padding="same", activation="relu")(x)])""",
        "one behind the other": """def fire(x, squeeze, expand):
    y = layers.Conv2D(squeeze, 1, activation="relu")(x)
    y1 = layers.Conv2D(expand // 2, 1, activation="relu")(y)
    return layers.Concatenate()([y1, layers.Conv2D(expand // 2, 3, padding="same", activation="relu")(y1)])""",
        "no relu": """def fire(x, squeeze, expand):
    y = layers.Conv2D(squeeze, 1)(x)
    y1 = layers.Conv2D(expand // 2, 1)(y)
    return layers.Concatenate()([y1, layers.Conv2D(expand // 2, 3, padding="same")(y)])""",
        "not joined": """def fire(x, squeeze, expand):
    y = layers.Conv2D(squeeze, 1, activation="relu")(x)
    return [layers.Conv2D(expand // 2, side, padding="same", activation="relu")(y) for side in (1, 3)]""",
        "added in place of joined": """def fire(x, squeeze, expand):
    y = layers.Conv2D(squeeze, 1, activation="relu")(x)
    return layers.Add()([layers.Conv2D(expand, side, padding="same", activation="relu")(y) for side in (1, 3)])""",
    },
    "fire_weights": {
        "no biases": "fire_weights = lambda channels, squeeze, expand: channels * squeeze + 10 * squeeze * expand // 2",
        "expanded twice as far": "fire_weights = lambda channels, squeeze, expand: (channels + 1) * squeeze + (10 * squeeze + 2) * expand",
        "the squeeze left out": "fire_weights = lambda channels, squeeze, expand: (10 * squeeze + 2) * expand // 2",
    },
    "fire_line": {
        "no fire modules": "line = 'conv 16 | pool | conv 16 | pool | conv 24 | gap'",
        "one pool": "line = 'conv 16 | pool | fire 12 24 | gap'",
        "nothing squeezed": "line = 'conv 16 | pool | fire 24 12 | pool | fire 24 48 | gap'",
        "too much work": "line = 'conv 32 | fire 24 48 | pool | fire 24 48 | pool | fire 24 48 | gap'",
        "too many weights": "line = 'conv 16 | pool | fire 48 96 | pool | fire 64 128 | pool | fire 64 128 | gap'",
        "no such word": "line = 'conv 16 | pool | fyre 12 24 | pool | fire 12 24 | gap'",
    },
    "batch_norm": {
        "each pixel by itself": """def batch_norm(cubes, scale, shift):
    return (cubes - cubes.mean(axis=0)) / np.sqrt(cubes.var(axis=0) + 0.001) * scale + shift""",
        "channels mixed": """def batch_norm(cubes, scale, shift):
    return (cubes - cubes.mean()) / np.sqrt(cubes.var() + 0.001) * scale + shift""",
        "no root": """def batch_norm(cubes, scale, shift):
    return (cubes - cubes.mean(axis=(0, 1, 2))) / (cubes.var(axis=(0, 1, 2)) + 0.001) * scale + shift""",
        "no scale and shift": """def batch_norm(cubes, scale, shift):
    return (cubes - cubes.mean(axis=(0, 1, 2))) / np.sqrt(cubes.var(axis=(0, 1, 2)) + 0.001)""",
    },
    "epochs_to_forget": {
        "steps": "epochs_to_forget = lambda momentum, steps, share: int(np.ceil(np.log(share) / np.log(momentum)))",
        "not rounded": "epochs_to_forget = lambda momentum, steps, share: np.log(share) / np.log(momentum) / steps",
        "the other share": "epochs_to_forget = lambda momentum, steps, share: int(np.ceil(np.log(share) / np.log(1 - momentum) / steps))",
    },
    "augment": {
        "always mirrored": "augment = lambda photo, random: flip(saturate(photo, random.uniform(0, 2)), True)",
        "upside down": "augment = lambda photo, random: saturate(photo, random.uniform(0, 2))[:: random.choice([1, -1])]",
        "one saturation": "augment = lambda photo, random: flip(saturate(photo, 2), random.random() < 0.5)",
        "one random number for both": """def augment(photo, random):
    drawn = random.random()
    return flip(saturate(photo, 2 * drawn), drawn < 0.5)""",
        "never paler": "augment = lambda photo, random: flip(saturate(photo, random.uniform(1, 2)), random.random() < 0.5)",
        "the photo itself": """def augment(photo, random):
    photo[:] = saturate(photo, random.uniform(0, 2))
    return flip(photo, random.random() < 0.5)""",
    },
    "separable": {
        "channels added up first": """def separable(cube, depthwise, pointwise):
    windows = np.lib.stride_tricks.sliding_window_view(cube, depthwise.shape[:2], axis=(0, 1))
    return np.einsum("yxcij,ijc->yx", windows, depthwise)[..., None] * pointwise.sum(axis=0)""",
        "one filter for all": """def separable(cube, depthwise, pointwise):
    windows = np.lib.stride_tricks.sliding_window_view(cube, depthwise.shape[:2], axis=(0, 1))
    return np.einsum("yxcij,ij->yxc", windows, depthwise[..., 0]) @ pointwise""",
        "relu between": """def separable(cube, depthwise, pointwise):
    windows = np.lib.stride_tricks.sliding_window_view(cube, depthwise.shape[:2], axis=(0, 1))
    return np.maximum(np.einsum("yxcij,ijc->yxc", windows, depthwise), 0) @ pointwise""",
        "not mixed": """def separable(cube, depthwise, pointwise):
    windows = np.lib.stride_tricks.sliding_window_view(cube, depthwise.shape[:2], axis=(0, 1))
    return np.einsum("yxcij,ijc->yxc", windows, depthwise)""",
    },
    "both_weights": {
        "with biases": "both_weights = lambda side, c, f: (side * side * c * f + f, side * side * c + c * f + f)",
        "one filter for all": "both_weights = lambda side, c, f: (side * side * c * f, side * side + c * f)",
        "a filter for each that goes out": "both_weights = lambda side, c, f: (side * side * c * f, side * side * f + c * f)",
        "multiplied": "both_weights = lambda side, c, f: (side * side * c * f, side * side * c * c * f)",
    },
    "both_products": {
        "at one place": "both_products = lambda side, c, f, h, w: (side * side * c * f, side * side * c + c * f)",
        "the mixing at one place": "both_products = lambda side, c, f, h, w: (h * w * side * side * c * f, h * w * side * side * c + c * f)",
    },
    "freeze": {
        "all of it": "def freeze(model):\n    model.trainable = False",
        "nothing": "def freeze(model):\n    for layer in model.layers[:-1]:\n        layer.trainable = True",
        "all but the last two": "def freeze(model):\n    for layer in model.layers[:-2]:\n        layer.trainable = False",
        "the model, then the head": "def freeze(model):\n    model.trainable = False\n    model.layers[-1].trainable = True",
        "only the head": "def freeze(model):\n    model.layers[-1].trainable = False",
        "not the norm": "def freeze(model):\n    for layer in model.layers[:-1]:\n        layer.trainable = 'norm' in layer.name",
    },
    "learning_rate": {
        "no floor": """def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
    if epoch < ramp:
        return start + (peak - start) * epoch / ramp
    return peak * decay ** max(0, epoch - ramp - sustain)""",
        "no hold": """def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
    if epoch < ramp:
        return start + (peak - start) * epoch / ramp
    return floor + (peak - floor) * decay ** (epoch - ramp)""",
        "a step too soon": """def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
    if epoch < ramp:
        return start + (peak - start) * (epoch + 1) / ramp
    return floor + (peak - floor) * decay ** max(0, epoch - ramp - sustain)""",
        "decaying from the start": """def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
    if epoch < ramp:
        return start + (peak - start) * epoch / ramp
    return floor + (peak - floor) * decay**epoch""",
    },
}
