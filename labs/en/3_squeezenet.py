# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 3: SqueezeNet
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/en/3_squeezenet.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/en/3_squeezenet.ipynb)
# [繁體中文](../zh-TW/3_squeezenet.ipynb)
#
# The nets of [lab 1](1_convolutions.ipynb) were layers in a row. Modern nets branch and join. You write such a module, build
# nets of it by the dozen in one line of text each, keep a table of what they reach and what they cost, and then add the two
# means that take a small net past 80%: batch norm and augmentation.
#
# You need lab 1, or its words: convolution, filter, channel, 1x1, max-pooling. It takes about 50 minutes. Words in **bold**
# are in the [glossary](../../docs/glossary.md).

# %% tags=["setup"]
# Installs Fireweed where it is not there yet, as on Colab or Kaggle; the TensorFlow that is there is kept.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("fireweed") is None:
    address = "git+https://github.com/YOUR_ACCOUNT/fireweed"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", address], check=True)

# %%
import numpy as np

import fireweed as fw
from fireweed import teaching
from fireweed.teaching import checks, figures

teaching.begin("en")  # chooses a TPU, a GPU or the CPU, and says which

# %% [markdown]
# With `quick = True` fewer nets train, on fewer photos and for two epochs only, to see the whole lab in a minute.

# %% tags=["parameters"]
quick = False
# Flowers drawn by program; or "flowers", or a folder of your own photos with a folder for each class.
DATA = "drawn"

# %%
photos = teaching.load_photos(DATA, side=32, photos_per_class=25 if quick else None)
side, classes = photos.train.shape[1], len(photos.classes)
print(f"{len(photos.train)} training photos, {len(photos.validation)} for validation, of {side} px")

# %% [markdown]
# ## 1. Sequential against functional
#
# A **Sequential** model is a list: each layer takes what the one before it gives. More than a row it cannot be. In Keras's
# **functional style** a layer is used like a function: it takes a tensor and gives a tensor. Nothing is computed yet; Keras
# notes which tensor came from where. In the end `keras.Model(x, y)` is told where the net begins and where it ends, and
# follows the notes.
#
# The same net twice:

# %%
import keras
from keras import layers

from fireweed.models.cost import layer_costs, total_cost

sequential = keras.Sequential(
    [
        keras.Input((side, side, 3)),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(classes, activation="softmax"),
    ]
)

x = keras.Input((side, side, 3))
y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
y = layers.GlobalAveragePooling2D()(y)
y = layers.Dense(classes, activation="softmax")(y)
functional = keras.Model(x, y)

functional.set_weights(sequential.get_weights())
some = photos.train[:4] / 255
answers = [keras.ops.convert_to_numpy(model(some)) for model in (sequential, functional)]
print("the same answers:", np.allclose(*answers, atol=1e-6))
print("what x and y are:", x.shape, "->", y.shape)

# %% [markdown]
# `y` is given a new value in each line, but the tensors before it are not lost: the net remembers them. Keep one under a
# name of its own, and you can use it twice. That is all a branch is.
#
# ## 2. Branches: an inception module
#
# Which layer should come next, a 3x3 convolution, a 1x1, a pool? Instead of choosing, take several side by side, each on the
# same input, and lay what they give behind each other as channels: **concatenate** them. Gradient descent then decides which
# of them counts, by the weights of the layer that follows. A part of a net with branches that join again is a **module**,
# and this one is an **inception module**. (The first net of that name had 5x5 filters and a pool in it too.)

# %%
x = keras.Input((side, side, 3), name="photo")
y = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(x)
y1 = layers.Conv2D(16, 1, padding="same", activation="relu", name="by_1x1")(y)  # the branches
y3 = layers.Conv2D(16, 3, padding="same", activation="relu", name="by_3x3")(y)
y = layers.Concatenate(name="module")([y1, y3])  # 16 + 16 channels
z = layers.GlobalAveragePooling2D(name="gap")(y)
z = layers.Dense(classes, activation="softmax", name="classes")(z)
model = keras.Model(x, z)
print("joined:", y.shape)
figures.show_net(model)

# %% [markdown]
# Branches must agree in height and width to be concatenated; hence `padding="same"` everywhere. And a dense layer expects
# one vector a photo: put on the cube itself it would give an answer at each of its places. So something has to make a
# vector of the cube first; here it is a mean, of which section 4 tells.
#
# ## 3. Fire modules
#
# 3x3 filters on many channels are what a convnet's weights are spent on: nine for each channel of each filter. The authors
# of **SqueezeNet** (Iandola and others, 2016) had a simple thought: let 3x3 filters see fewer channels. Their **fire
# module** has two steps:
#
# * **squeeze**: a 1x1 convolution mixes the many channels into few;
# * **expand**: on these few, a 1x1 and a 3x3 convolution side by side make many again, half of them each.
#
# **Exercise 1: a fire module.** `x` is a tensor, `squeeze` and `expand` are numbers of filters; give back the joined tensor.
# Relu in all three convolutions.


# %% tags=["exercise", "fire"]
def fire(x, squeeze, expand):
    return ...


# %% tags=["check", "fire"]
checks.check_fire(fire)

# %% [markdown] tags=["solution", "fire"]
# <details><summary>Solution</summary>
#
# ```python
# def fire(x, squeeze, expand):
#     y = layers.Conv2D(squeeze, 1, padding="same", activation="relu")(x)
#     y1 = layers.Conv2D(expand // 2, 1, padding="same", activation="relu")(y)
#     y3 = layers.Conv2D(expand // 2, 3, padding="same", activation="relu")(y)
#     return layers.Concatenate()([y1, y3])
# ```
#
# </details>

# %% [markdown]
# Keras's layers are used in two steps: `layers.Conv2D(16, 3)` makes the layer, `(x)` applies it. A function that gives back
# a function makes a module look the same. (Fireweed has the fire module ready; its names are for the figure.)

# %%
from fireweed.models import blocks


def fire_module(squeeze, expand, name):
    return lambda x: blocks.fire(x, squeeze, expand, name=name, momentum=None)


x = keras.Input((side, side, 3), name="photo")
y = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(x)
y = fire_module(12, 24, "fire1")(y)
y = layers.MaxPooling2D(2, name="pool1")(y)
y = fire_module(16, 32, "fire2")(y)
figures.show_net(keras.Model(x, y))

# %% [markdown]
# **Exercise 2: what does a fire module learn?** `channels` come in. Count weights and biases of all three convolutions.


# %% tags=["exercise", "fire_weights"]
def fire_weights(channels, squeeze, expand):
    return ...


# %% tags=["check", "fire_weights"]
checks.check_fire_weights(fire_weights)

# %% [markdown] tags=["solution", "fire_weights"]
# <details><summary>Solution</summary>
#
# ```python
# def fire_weights(channels, squeeze, expand):
#     half = expand // 2
#     return (channels + 1) * squeeze + (squeeze + 1) * half + (9 * squeeze + 1) * half
# ```
#
# </details>

# %% [markdown]
# How much is saved, from 96 channels to 128, on a cube of 16 by 16? Change the squeeze, and look when it stops paying:

# %%
cube = keras.Input((16, 16, 96))
modules = {"plain 3x3": layers.Conv2D(128, 3, padding="same", activation="relu")(cube)}
for squeeze in (16, 48, 96):
    modules[f"fire {squeeze} 128"] = fire_module(squeeze, 128, f"fire{squeeze}")(cube)
costs = {name: total_cost(keras.Model(cube, y), side=16) for name, y in modules.items()}
figures.show_costs({name: (cost.parameters, cost.multiply_adds) for name, cost in costs.items()})

# %% [markdown]
# What is the price? The 3x3 filters see combinations of channels only, as many as the squeeze leaves. That this costs so
# little accuracy is what the authors found. The squeeze is nearly always smaller than the expand.
#
# ## 4. Global average pooling
#
# Lab 1 flattened the last cube into a vector, so each weight of the head belonged to one place. **Global average pooling**
# takes the mean of each channel over the whole picture instead: "how much of this pattern is there, wherever it is". Three
# things come of it: far fewer weights in the head, an answer that does not care where the flower is, and a net that takes
# photos of any side.

# %%
body = "conv 16 | pool | fire 12 24 | pool | fire 24 48"
for head in ("flatten", "gap"):
    net = fw.build_model(f"{body} | {head}", classes=classes, side=side)
    print(f"{head:8} {net.get_layer('classes').count_params():6,} numbers in the head")

any_side = fw.build_model(f"{body} | gap", classes=classes)
for pixels in (32, 50, 96):
    print(f"photos of {pixels} px:", any_side(np.zeros((2, pixels, pixels, 3))).shape)

# %% [markdown]
# ## 5. The playground
#
# How many pools, how many modules between them, how many filters? Nobody can say beforehand; you try. To make trying easy
# Fireweed reads a net from a line of text:
#
# | word | what it does |
# |---|---|
# | `conv 16` | 16 filters of 3x3, relu, batch norm (section 6); `conv 16 1`: of 1x1; `conv 16 /2`: stride 2 |
# | `fire 12 24` | squeeze to 12, expand to 24; `fire 12 24 x2`: two in a row |
# | `inception 8 16` | 8 filters of 1x1 beside 16 of 3x3 |
# | `pool` | max-pooling; `pool avg`: the mean |
# | `gap` | global average pooling, then the classes |
# | `norm none`, `norm batch 0.99` | at the beginning: no batch norm, or its momentum |
#
# Good habits to start from: one plain convolution first, then fire modules with pools between them; 2 to 4 pools; 1 to 3
# modules in a row; 8 to 196 filters, growing from pool to pool or the same all along. `Tries` trains each line as long as
# every other and keeps what came of it:

# %%
epochs = 2 if quick else 15
tries = teaching.Tries(photos, epochs)
lines = [
    "conv 16 | pool | conv 32 | pool | conv 48 | gap",
    "conv 16 | pool | fire 12 24 | pool | fire 12 24 | pool | fire 12 24 | gap",
    "conv 16 | pool | fire 12 24 | pool | fire 24 48 | pool | fire 32 64 | gap",
    "conv 16 | pool | fire 12 24 x2 | pool | fire 24 48 x2 | gap",
    "conv 16 | pool | inception 12 12 | pool | inception 24 24 | gap",
]
for line in lines[: 1 if quick else None]:
    tries.add(line)
tries.sorted()

# %%
tries.sorted("multiply_adds")

# %%
figures.show_tries(tries.sorted("multiply_adds").rows)

# %% [markdown]
# Before you believe the order: the accuracy is a share of a limited number of photos, and the starting weights are random.
# The interval below is where the true accuracy lies 95 times of 100, for the number of photos alone. Nets that lie closer
# together than that cannot be told apart by one try each; more photos or several tries (seeds) can.

# %%
from fireweed.evaluation.metrics import wilson_interval

best = tries.sorted().rows[0]
count = len(photos.validation)
least, most = wilson_interval(round(best.accuracy * count), count)
print(f"{best.accuracy:.1%} of {count} photos: between {least:.1%} and {most:.1%}")
print(f"one photo more or less: {1 / count:.1%}")

# %% [markdown]
# **Exercise 3: a net of your own.** For photos of 32 px, from `conv` to `gap`, with 2 to 4 pools and 1 to 3 fire modules
# between two pools, at most 40,000 parameters and 4 million multiply-adds. Then try to beat the table with it.

# %% tags=["exercise", "fire_line"]
line = "..."

# %% tags=["check", "fire_line"]
checks.check_fire_line(line)

# %% [markdown] tags=["solution", "fire_line"]
# <details><summary>Solution</summary>
#
# ```python
# line = "conv 24 | pool | fire 16 32 x2 | pool | fire 24 48 x2 | pool | fire 32 64 | gap"
# ```
#
# The first pool comes early: before it each filter works on four times as many places as behind it.
#
# </details>

# %%
if checks.check_fire_line(line) and not quick:
    tries.add(line)
tries.sorted()

# %% [markdown]
# ## 6. Batch norm
#
# Every layer learns from what the layer before it gives, and that keeps changing while all of them learn. Channels drift to
# other scales; some grow, some fade, and gradients with them. **Batch norm** brings each channel back to a known scale. In
# training it takes a channel's mean and variance over all photos and all places of the batch, and computes
#
# > (x − mean) / √(variance + 0.001) × scale + shift
#
# *Scale* and *shift* are two numbers a channel that the net learns: it may choose another scale, but it is not at the mercy
# of the layers before. (0.001 is there so that nothing is divided by zero.)
#
# **Exercise 4: batch norm.** `cubes` is (photos, height, width, channels); `scale` and `shift` have a number a channel.


# %% tags=["exercise", "batch_norm"]
def batch_norm(cubes, scale, shift):
    return ...


# %% tags=["check", "batch_norm"]
checks.check_batch_norm(batch_norm)

# %% [markdown] tags=["solution", "batch_norm"]
# <details><summary>Solution</summary>
#
# ```python
# def batch_norm(cubes, scale, shift):
#     mean = cubes.mean(axis=(0, 1, 2))
#     variance = cubes.var(axis=(0, 1, 2))
#     return (cubes - mean) / np.sqrt(variance + 0.001) * scale + shift
# ```
#
# </details>

# %% [markdown]
# Three channels of a photo batch before and behind it, by Keras's own layer:

# %%
batch = photos.train[:32] / 255 * [1.0, 0.3, 3.0]  # red, green, blue, brought to unlike scales
normed = keras.ops.convert_to_numpy(layers.BatchNormalization()(batch, training=True))
figures.show_spreads({"before": batch.reshape(-1, 3), "behind": normed.reshape(-1, 3)})

# %% [markdown]
# A trained net must answer a single photo as well, and a single photo is no batch. So the layer remembers: after each
# training step it moves its **moving mean** and moving variance a little towards those of the batch,
#
# > moving ← momentum × moving + (1 − momentum) × that of the batch
#
# and answers with these. They begin at 0 and 1, which have nothing to do with your photos. How quickly are they forgotten?
# Keras's usual momentum is 0.99, made for large sets with thousands of steps an epoch.

# %%
steps_per_epoch = len(photos.train) // 32
figures.show_following([0.99, 0.9], steps=steps_per_epoch * 10, steps_per_epoch=steps_per_epoch)

# %% [markdown]
# **Exercise 5: epochs until it is forgotten.** After how many whole epochs is less than `share` left of where the moving
# mean began?


# %% tags=["exercise", "epochs_to_forget"]
def epochs_to_forget(momentum, steps_per_epoch, share):
    return ...


# %% tags=["check", "epochs_to_forget"]
checks.check_epochs_to_forget(epochs_to_forget)

# %% [markdown] tags=["solution", "epochs_to_forget"]
# <details><summary>Solution</summary>
#
# ```python
# def epochs_to_forget(momentum, steps_per_epoch, share):
#     epochs, left = 0, 1.0
#     while left >= share:
#         left *= momentum**steps_per_epoch
#         epochs += 1
#     return epochs
# ```
#
# Or at once: `int(np.ceil(np.log(share) / np.log(momentum) / steps_per_epoch))`.
#
# </details>

# %% [markdown]
# Now the same net three times: without batch norm, with the usual momentum, with 0.9.

# %%
net = "conv 16 | pool | fire 12 24 | pool | fire 24 48 | gap"
norms = teaching.Tries(photos, epochs)
if not quick:
    norms.add(f"norm none | {net}", name="no norm")
norms.add(f"norm batch 0.99 | {net}", name="momentum 0.99")
norms.add(f"norm batch 0.9 | {net}", name="momentum 0.9")
norms

# %%
figures.show_curves_together(
    {row.name: row.history["val_accuracy"] for row in norms.rows}, "validation accuracy"
)

# %% [markdown]
# With 0.99 the net seems to know nothing for a long while, on validation photos only. Is it the net, or only its statistics? Let it
# answer with the mean and variance of the validation photos themselves, as it does in training (`training=True`):

# %%
for name in ("momentum 0.99", "momentum 0.9"):
    model = norms[name].model
    told = []
    for way, training in (("kept statistics", False), ("the batch's own", True)):
        answers = keras.ops.convert_to_numpy(model(photos.validation, training=training))
        told.append(f"{way} {(answers.argmax(axis=1) == photos.validation_labels).mean():.0%}")
    print(f"{name:14} {', '.join(told)}")

# %% [markdown]
# (The second way is a test, no cure: the answer to a photo would depend on the photos beside it.)
#
# ## 7. Augmentation
#
# A mirrored daisy is a daisy. So is a paler one. From a photo whose label is known many others can be made whose label is
# known too: **augmentation** changes the training photos a little, at random, anew in each epoch. The net never sees quite
# the same photo twice, and learning by heart becomes hard. What it must not do is change what the photo shows: a 6 upside
# down is a 9.
#
# **Exercise 6: augment a photo.** Mirror it left to right with a chance of one half, and multiply its saturation (how
# colourful it is) by a factor drawn evenly from 0 to 2. `random` is a generator of numpy (`random.random()` gives a number
# from 0 to 1, `random.uniform(0, 2)` one from 0 to 2). Ready for use: `saturate(photo, factor)` and `flip(photo, mirrored)`.


# %% tags=["exercise", "augment"]
from fireweed.data.augment import flip, saturate


def augment(photo, random):
    return ...


# %% tags=["check", "augment"]
checks.check_augment(augment)

# %% [markdown] tags=["solution", "augment"]
# <details><summary>Solution</summary>
#
# ```python
# from fireweed.data.augment import flip, saturate
#
#
# def augment(photo, random):
#     photo = saturate(photo, random.uniform(0, 2))
#     return flip(photo, random.random() < 0.5)
# ```
#
# </details>

# %% [markdown]
# Always look at what augmentation makes. If *you* cannot tell the class any more, it was too much:

# %%
random = np.random.default_rng(1)


def changed(many):
    return np.stack(
        [flip(saturate(photo, random.uniform(0, 2)), random.random() < 0.5) for photo in many]
    )


photo = photos.train[photos.train_labels == classes - 1][1]
figures.show_changes(photo, changed([photo] * 15))

# %% [markdown]
# Only training photos are changed. Validation asks how the net does on photos as they are, and is to be the same question
# every time.
#
# The fewer the photos, the more it counts. So here are 15 training photos a class, with and without. Watch how far training
# and validation lie apart:

# %%
few = teaching.load_photos(DATA, side=32, photos_per_class=15)
augmented = teaching.Tries(few, epochs=2 if quick else 40)
augmented.add(net, name="as they are")
augmented.add(net, name="augmented", change=changed)
figures.show_curves({row.name: row.history for row in augmented.rows})

# %%
for row in augmented.rows:
    training = np.mean(row.history["accuracy"][-5:])
    print(f"{row.name:12} training {training:.0%}, validation {row.accuracy:.0%}")

# %% [markdown]
# With augmentation the training photos are harder: their curve rises later, and it needs more epochs. That is the point of
# it. With `tf.data` (lab 2) the same is one more `map` on the training photos, ahead of the batches. Fireweed flips photos,
# changes their saturation and crops them at random, in every recipe; `--no-augment` leaves it out.
#
# ## 8. To 80% and past it
#
# All together, trained long enough, on real photos: what Fireweed's recipes reach that begin with random weights, on the
# 3,670 photos of `flowers`. These were measured by a program and are committed with the project; the bars are 95% intervals.
# `squeezenet` is the net of the codelab that this lab follows (its goal: 80%), `fast` is one line of text. Yours is beside
# them: on *your* `DATA`, so compare it with care. Drawn flowers are easier than real ones.

# %%
reached = {}
for recipe in ("fast", "squeezenet"):
    figure = teaching.measured(recipe)
    reached[f"{recipe}, flowers"] = (figure["mean"], *figure["interval_95"])
if not quick:
    run = fw.train(DATA, recipe="fast", side=64, quiet=True)
    own = run.evaluate()
    reached[f"fast, {DATA}: yours"] = (own["accuracy"], *own["interval_95"])
figures.show_goals(reached, goal=0.8)

# %% [markdown]
# For the real thing you need the photos (`flowers` fetches them once, some 230 MB) and some patience, or a GPU or TPU:
#
# ```
# fireweed train --data flowers --recipe fast
# fireweed train --data flowers --recipe squeezenet
# ```
#
# What this net costs; `fireweed models squeezenet` says it layer by layer:

# %%
squeezenet = fw.build_model("squeezenet", classes=classes, side=192)
cost = total_cost(squeezenet)
print(f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds for a photo of 192 px")
largest = max(layer_costs(squeezenet), key=lambda layer: layer.multiply_adds)
print(f"most of the work: {largest.name}, {largest.multiply_adds / cost.multiply_adds:.0%} of it")

# %% [markdown]
# ## What to try next
#
# * In section 5: the same net with 2 and with 4 pools. With `conv 32 /2` in place of the first `conv 16 | pool`.
# * Is a squeeze of a quarter of the expand as good as one half? Of an eighth?
# * Change one filter (`conv 17`) and see how much the accuracy moves without any reason.
# * In section 7: only flips, or only saturation. And what becomes of tulips that are mirrored upside down
#   (`photo[::-1]`)?
# * A whole training with report from a line: `fireweed train --data drawn --model "conv 16 | pool | fire 12 24 | gap"`.
#
# Next: [Lab 4: fine-tuning Xception](4_xception.ipynb): a large net that has seen a million photos before yours.
