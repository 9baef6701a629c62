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
# # Lab 4: fine-tuning Xception
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/en/4_xception.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/en/4_xception.ipynb)
# [繁體中文](../zh-TW/4_xception.ipynb)
#
# The nets of [lab 3](3_squeezenet.ipynb) began with random weights and your photos alone. Now you start from a net that has
# learned from other photos before. You take its building stone apart, watch how a careless first step destroys what a net
# knows, draw a learning rate that does not, and in the end ask a trained net about photos of your own.
#
# You need labs 0, 1 and 3, or their words: learning rate, epoch, channel, 1x1, batch norm, functional style. It takes about
# 45 minutes. Words in **bold** are in the [glossary](../../docs/glossary.md).

# %% tags=["setup"]
# Installs Fireweed where it is not there yet, as on Colab or Kaggle; the TensorFlow that is there is kept.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("fireweed") is None:
    address = "git+https://github.com/YOUR_ACCOUNT/fireweed"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", address], check=True)

# %%
import time
from pathlib import Path

import numpy as np

import fireweed as fw
from fireweed import teaching
from fireweed.teaching import checks, figures

teaching.begin("en")  # chooses a TPU, a GPU or the CPU, and says which

# %% [markdown]
# With `quick = True` everything trains for a few epochs only, to see the whole lab in a minute.

# %% tags=["parameters"]
quick = False
# Flowers drawn by program; or "flowers", or a folder of your own photos with a folder for each class (four or more).
DATA = "drawn"
# Photos to ask the trained net about: a folder of yours, or "" for some that are drawn anew.
MY_PHOTOS = ""

# %%
photos = teaching.load_photos(DATA, side=48)
side, classes = photos.train.shape[1], len(photos.classes)
print(f"{len(photos.train)} training photos, {len(photos.validation)} for validation, of {side} px")

# %% [markdown]
# ## 1. Separable convolutions
#
# An ordinary filter does two things at once: it looks around (over its 3x3 or 4x4 places) and it mixes channels (it adds
# all of them up). A **separable convolution** does them one after the other:
#
# 1. **depthwise**: each channel is filtered alone, by one small filter of its own, into one picture;
# 2. **pointwise**: a 1x1 convolution mixes these pictures, with new weights for each channel that comes out.
#
# (Each channel may also be given several filters of its own; that is rare.) By hand, on a photo: three filters of 4x4, one a
# channel, then five mixtures.

# %%
photo = photos.train[photos.train_labels == 0][0] / 255
random = np.random.default_rng(3)
depthwise = random.normal(size=(4, 4, 3))
depthwise -= depthwise.mean(axis=(0, 1))  # so that each looks for differences, not for brightness
pointwise = random.normal(size=(3, 5))

windows = np.lib.stride_tricks.sliding_window_view(photo, (4, 4), axis=(0, 1))
filtered = (windows * depthwise.transpose(2, 0, 1)).sum(axis=(3, 4))  # each channel stays alone
mixed = filtered @ pointwise  # at each place, 3 numbers become 5
print(photo.shape, "->", filtered.shape, "->", mixed.shape)
figures.show_two_stages(photo, depthwise, filtered, mixed)

# %% [markdown]
# **Exercise 1: a separable convolution.** `cube` is (height, width, channels), `depthwise` is (side, side, channels),
# `pointwise` is (channels, filters). Give back (height − side + 1, width − side + 1, filters). No bias, no relu. Loops are
# fine.


# %% tags=["exercise", "separable"]
def separable(cube, depthwise, pointwise):
    return ...


# %% tags=["check", "separable"]
checks.check_separable(separable)

# %% [markdown] tags=["solution", "separable"]
# <details><summary>Solution</summary>
#
# ```python
# def separable(cube, depthwise, pointwise):
#     side = depthwise.shape[0]
#     rows, columns = cube.shape[0] - side + 1, cube.shape[1] - side + 1
#     filtered = np.zeros((rows, columns, cube.shape[2]))
#     for row in range(rows):
#         for column in range(columns):
#             window = cube[row : row + side, column : column + side]
#             filtered[row, column] = (window * depthwise).sum(axis=(0, 1))
#     return filtered @ pointwise
# ```
#
# </details>

# %% [markdown]
# **Exercise 2: how many weights?** Give back two numbers: the weights of an ordinary convolution and those of a separable
# one. No biases. With filters of 4x4, from 3 channels to 5, you should get 240 and 63.


# %% tags=["exercise", "both_weights"]
def both_weights(side, channels, filters):
    return ...


# %% tags=["check", "both_weights"]
checks.check_both_weights(both_weights)

# %% [markdown] tags=["solution", "both_weights"]
# <details><summary>Solution</summary>
#
# ```python
# def both_weights(side, channels, filters):
#     ordinary = side * side * channels * filters
#     separable = side * side * channels + channels * filters
#     return ordinary, separable
# ```
#
# 4 x 4 x 3 x 5 = 240, and 4 x 4 x 3 + 3 x 5 = 48 + 15 = 63.
#
# </details>

# %% [markdown]
# **Exercise 3: how many multiply-adds?** Over an output of `height` by `width` places, again for both.


# %% tags=["exercise", "both_products"]
def both_products(side, channels, filters, height, width):
    return ...


# %% tags=["check", "both_products"]
checks.check_both_products(both_products)

# %% [markdown] tags=["solution", "both_products"]
# <details><summary>Solution</summary>
#
# ```python
# def both_products(side, channels, filters, height, width):
#     places = height * width
#     ordinary = places * side * side * channels * filters
#     separable = places * (side * side * channels + channels * filters)
#     return ordinary, separable
# ```
#
# </details>

# %% [markdown]
# Divide one by the other and the channels and places cancel out: the share is 1 / filters + 1 / side². With few filters
# little is spared; with hundreds of them a 3x3 costs a ninth.

# %%
figures.show_shares([3, 4, 5])

# %% [markdown]
# Keras has the layer ready. On a cube as large nets have them:

# %%
import keras
from keras import layers

from fireweed.models.cost import layer_costs, total_cost

cube = keras.Input((24, 24, 128))
both = {
    "Conv2D": layers.Conv2D(128, 3, padding="same", use_bias=False)(cube),
    "SeparableConv2D": layers.SeparableConv2D(128, 3, padding="same", use_bias=False)(cube),
}
models = {name: keras.Model(cube, y) for name, y in both.items()}
costs = {name: total_cost(model, side=24) for name, model in models.items()}
figures.show_costs({name: (cost.parameters, cost.multiply_adds) for name, cost in costs.items()})

# %%
cubes = random.normal(size=(8, 24, 24, 128)).astype("float32")
for name, model in models.items():
    model.predict(cubes, verbose=0)  # once to warm up
    start = time.perf_counter()
    model.predict(cubes, verbose=0)
    print(f"{name:16} {(time.perf_counter() - start) * 1000:6.1f} ms for {len(cubes)} cubes")

# %% [markdown]
# Are the milliseconds in the same proportion? Mostly not: the depthwise stage multiplies little and moves many numbers, and
# chips are better at multiplying. Fewer multiply-adds are not always as much less time.
#
# ## 2. Xception
#
# **Xception** (Chollet, 2017) is built of separable convolutions, all but its first two layers and its **shortcuts**: around
# each block the block's input is carried past and added to what the block makes of it. A block then only has to learn what
# to change, and gradients have a short way back. (MobileNetV2 and EfficientNet are built of such layers too.) Fireweed's
# `separable` is the same idea at a size that trains here:

# %%
figures.show_net(fw.build_model("separable", classes=classes, side=side))

# %%
xception = fw.build_model("xception", classes=classes, side=96)
cost = total_cost(xception)
print(f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds for a photo of 96 px")
by_kind = {}
for layer in layer_costs(xception):
    number, sum_of = by_kind.get(layer.kind, (0, 0))
    by_kind[layer.kind] = number + 1, sum_of + layer.parameters
for kind, (number, sum_of) in sorted(by_kind.items(), key=lambda item: -item[1][1])[:4]:
    print(f"{number:3} x {kind:20} {sum_of:12,} parameters, {sum_of / cost.parameters:.0%}")
del xception

# %% [markdown]
# So many numbers cannot be learned from some thousand photos. But they need not be: what edges, petals and leaves look like
# is not different for your photos and for others. Xception's weights are published as they were after learning from
# ImageNet, more than a million photos of a thousand classes. Taking over what a net has learned on another task is
# **transfer learning**; the net is called **pretrained**, and learning on with its weights, carefully, is **fine-tuning**.
#
# ## 3. A net that knows something
#
# To see what happens in fine-tuning we need a net that we know well and that learns within seconds. So we pretrain one
# ourselves: the *old task* is every second class, with all its photos. The *new task* is the other classes, with twelve
# photos each. All remaining photos of these are for validation.

# %%
OLD, NEW = list(range(0, classes, 2)), list(range(1, classes, 2))
print("old task:", [photos.classes[label] for label in OLD])
print("new task:", [photos.classes[label] for label in NEW])


def part(images, labels, chosen):
    is_chosen = np.isin(labels, chosen)
    return images[is_chosen], np.searchsorted(chosen, labels[is_chosen])


old_train, old_labels = part(photos.train, photos.train_labels, OLD)
old_validation, old_truth = part(photos.validation, photos.validation_labels, OLD)
new_photos, new_labels = part(photos.train, photos.train_labels, NEW)
more_photos, more_labels = part(photos.validation, photos.validation_labels, NEW)

firsts = np.concatenate([np.flatnonzero(new_labels == label)[:12] for label in range(len(NEW))])
rest = np.setdiff1d(np.arange(len(new_labels)), firsts)
new_validation = np.concatenate([new_photos[rest], more_photos])
new_truth = np.concatenate([new_labels[rest], more_labels])
new_train, new_train_labels = new_photos[firsts], new_labels[firsts]
print(
    f"old: {len(old_train)} photos to learn from; new: {len(new_train)}, {len(new_validation)} for validation"
)

# %%
# Trainings here are so short that TensorFlow would compile for longer (by XLA) than they last.
JIT = "auto" if keras.backend.backend() == "jax" else False
EAGERLY = quick and not JIT  # with quick not even the graph of a step pays
FULL_RATE = 0.01  # a learning rate at which this net learns well from random weights

line = "conv 24 /2 | sep 48 | pool | sep 96 | pool | sep 96 | gap"
pretrained = fw.build_model(line, classes=len(OLD), side=side)
random_weights = pretrained.get_weights()
pretrained.compile(
    optimizer=keras.optimizers.Adam(FULL_RATE),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    jit_compile=JIT,
    run_eagerly=EAGERLY,
)
done = pretrained.fit(
    old_train,
    old_labels,
    validation_data=(old_validation, old_truth),
    batch_size=25,
    epochs=2 if quick else 25,
    verbose=0,
)
knowing_weights = pretrained.get_weights()
figures.show_curves({"the old task": done.history})

# %% [markdown]
# ## 4. Frozen against trainable
#
# A net for the new task: the pretrained net up to its global average, its **backbone**, and a new head with random weights.
# In the functional style that is two lines. Both nets share the backbone's layers, so whatever the new net learns changes
# the old net too, and we can ask the old one, with its old head, how much it still knows.
#
# (Xception without its head is `keras.applications.Xception(include_top=False, pooling="avg")` in Keras; it expects pixels
# from -1 to 1. `trainable = True`, or `False`, on a whole model holds for all its layers.)

# %%
averages = pretrained.get_layer("gap1").output
new_head = layers.Dense(len(NEW), activation="softmax", name="new_classes")
net = keras.Model(pretrained.input, new_head(averages))
random_head = new_head.get_weights()

# %% [markdown]
# The cautious way is to leave the backbone as it is: **frozen**. Its features are taken as they are, and only the head
# learns. In Keras a layer whose `trainable` is `False` keeps its weights. (A frozen batch norm also keeps its statistics and
# answers with these in training; long ago Keras did otherwise.)
#
# **Exercise 4: freeze all layers of a model but the last.** (`model.layers` is the list of its layers.)


# %% tags=["exercise", "freeze"]
def freeze(model):
    return ...


# %% tags=["check", "freeze"]
checks.check_freeze(freeze)

# %% [markdown] tags=["solution", "freeze"]
# <details><summary>Solution</summary>
#
# ```python
# def freeze(model):
#     for layer in model.layers[:-1]:
#         layer.trainable = False
# ```
#
# `trainable` takes effect with the next `compile`.
#
# </details>

# %% [markdown]
# The bold way is to make everything trainable. Then the learning rate decides. It is set for each epoch by a **callback**:
# an object that Keras calls at certain moments of the training. One sets the rate, `LearningRateScheduler`; the other is
# ours and notes after each epoch what both nets know.


# %%
class Noting(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.known = {"new": [], "old": []}

    def note(self):
        for name, model, images, truth in (
            ("new", net, new_validation, new_truth),
            ("old", pretrained, old_validation, old_truth),
        ):
            answers = keras.ops.convert_to_numpy(model(images, training=False)).argmax(axis=1)
            self.known[name].append(float((answers == truth).mean()))

    def on_epoch_end(self, epoch, logs=None):
        self.note()


def tune(rates, weights, frozen=False):
    keras.utils.set_random_seed(1)
    pretrained.set_weights(weights)
    new_head.set_weights(random_head)
    for layer in net.layers[:-1]:
        layer.trainable = not frozen
    net.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        jit_compile=JIT,
        run_eagerly=EAGERLY,
    )
    noting = Noting()
    noting.note()  # before the first step
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: float(rates[epoch]))
    net.fit(
        new_train,
        new_train_labels,
        batch_size=12,
        epochs=len(rates),
        callbacks=[schedule, noting],
        verbose=0,
    )
    return noting.known


epochs = 3 if quick else 20
constant = np.full(epochs, FULL_RATE)
ways = {"frozen": tune(constant, knowing_weights, frozen=True)}
if not quick:
    ways["from scratch"] = tune(constant, random_weights)
ways["full rate at once"] = tune(constant, knowing_weights)
figures.show_old_and_new(ways)

# %% [markdown]
# The left edge is before the first step. Look at the dashed line, what is left of the old task, in the last picture: a few
# steps at the full rate, and much of what the net knew is gone. Why? The new head is random. Its first errors are large and
# say nothing about the backbone, but they are passed back into it all the same, at full rate. The net then learns the new
# task with what is left, from two dozen photos.
#
# ## 5. Ramp, sustain, decay
#
# So the rate should begin small, so small that the backbone hardly moves while the head finds its place; then *ramp* up,
# when the errors that arrive mean something; be held for a while or not at all (*sustain*); and *decay*, to settle. Such a
# plan is a **learning-rate schedule**.
#
# **Exercise 5: the rate of an epoch.** Epochs count from 0. From `start` in epoch 0 it rises in equal steps to `peak` in
# epoch `ramp`; is held there for `sustain` epochs more; then its distance from `floor` is multiplied by `decay` each epoch,
# the first time in epoch `ramp + sustain + 1`.


# %% tags=["exercise", "learning_rate"]
def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
    return ...


# %% tags=["check", "learning_rate"]
checks.check_learning_rate(learning_rate)

# %% [markdown] tags=["solution", "learning_rate"]
# <details><summary>Solution</summary>
#
# ```python
# def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
#     if epoch < ramp:
#         return start + (peak - start) * epoch / ramp
#     return floor + (peak - floor) * decay ** max(0, epoch - ramp - sustain)
# ```
#
# </details>

# %% [markdown]
# Fireweed has it ready. Draw some, and change the numbers:

# %%
from fireweed.training.schedules import ramp_sustain_decay


def plan(peak, ramp, sustain=0, decay=0.8):
    return ramp_sustain_decay(
        20,
        peak,
        start=peak / 100,
        floor=peak / 100,
        ramp_epochs=ramp,
        sustain_epochs=sustain,
        decay=decay,
    )


LOWER = FULL_RATE * 0.3
figures.show_learning_rates(
    {
        "ramp, decay": plan(LOWER, ramp=6),
        "ramp, hold, decay": plan(LOWER, ramp=4, sustain=6, decay=0.6),
        "no ramp": plan(LOWER, ramp=0),
    }
)

# %% [markdown]
# Which does it need, the ramp or a lower peak? Try both, each for itself and together:

# %%
plans = {
    "ramp, lower peak": plan(LOWER, ramp=6),
    "ramp, full peak": plan(FULL_RATE, ramp=6),
    "lower rate at once": plan(LOWER, ramp=0),
}
planned = {"full rate at once": ways["full rate at once"]}
for name in list(plans)[: 1 if quick else None]:
    planned[name] = tune(plans[name][:epochs], knowing_weights)
figures.show_old_and_new(planned)

# %%
for name, known in (ways | planned).items():
    print(
        f"{name:22} new task {np.mean(known['new'][-5:]):.0%}; "
        f"of the old task {known['old'][0]:.0%} before, {min(known['old']):.0%} at the least"
    )

# %% [markdown]
# Follow the dashed lines. While the rate ramps up, little is lost. If it then climbs to the full rate, what the net knew goes
# all the same, only later: so the peak must be lower than in training from scratch, too. And decay lets the answers settle.
# (With two dozen photos the curves are jumpy; do not read more into them than that.)
#
# Nobody needs the old task as such. It shows whether the features that the net was pretrained for are still there, and these
# are what the new task is to be built on. The new task itself may end as well either way: it has two classes only, and what
# was lost is soon learned again. But look how far it fell on the way, where the rate was full: down to guessing. With
# ImageNet's weights there is far more to lose than here, and your photos are too few to learn that again.
#
# For Xception the plan of the codelab that these labs follow goes from 0.00001 to 0.0004 within five epochs and then decays by a factor 0.8. Today most
# people change the rate in each step, not each epoch, and let it fall along half a cosine; Fireweed's recipes do so too.
# Both kinds, and more, are `--set training.schedule.kind=...`; `fireweed recipes xception` draws the curve.
#
# ## 6. To 95% and past it
#
# The whole Xception from ImageNet's weights, on the 3,670 photos of `flowers`: measured by a program, committed with the
# project, with 95% intervals. `frozen` computes the features of each photo once and then trains a head on them, which is by far the
# cheaper way; `xception` makes all weights trainable. For comparison, the best net from random weights:

# %%
reached = {}
for recipe in ("squeezenet", "frozen", "xception"):
    figure = teaching.measured(recipe)
    reached[f"{recipe}, seeds: {figure['seeds']}"] = (figure["mean"], *figure["interval_95"])
figures.show_goals(reached, goal=0.95)

# %% [markdown]
# The goal is reached if the dot stands right of the line, and it is beyond doubt if the whole bar does. The commands:
#
# ```
# fireweed train --data flowers --recipe frozen
# fireweed train --data flowers --recipe xception
# ```
#
# Here is a training of your own on `DATA`. Where Xception's ImageNet weights are at hand it is Xception, frozen, on small
# photos; otherwise a small net from scratch. (Fireweed fetches the weights when a command asks for them and the network is
# there.)

# %%
from fireweed.models.registry import imagenet_at_hand

if imagenet_at_hand("xception") and not quick:
    run = fw.train(
        DATA,
        recipe="frozen",
        side=128,
        settings=("training.views=2",),
        quiet=True,
    )
else:
    net_line = "conv 16 /2 | sep 32 | pool | sep 64 | pool | sep 96 | gap"
    run = fw.train(DATA, model=net_line, side=48, epochs=1 if quick else 12, quiet=True)
result = run.evaluate()
print(f"{result['accuracy']:.0%} of {result['photos']} validation photos; the report: {run.report}")
reached[f"{DATA}: yours"] = (result["accuracy"], *result["interval_95"])
figures.show_goals(reached, goal=0.95)

# %% [markdown]
# ## 7. Ask it
#
# Put some photos into a folder, write its name into `MY_PHOTOS` at the top, and run this again. (On Colab: the folder icon on
# the left, then upload.) Until then the net is asked about flowers drawn just now, which nobody has learned from, and about
# a picture of nothing at all.

# %%
from fireweed.data.drawn import draw_photo

if MY_PHOTOS:
    asked = sorted(path for path in Path(MY_PHOTOS).iterdir() if path.is_file())[:6]
else:
    folder = Path("runs/asked")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: draw_photo(name, 5000) for name in ("daisy", "dandelion", "roses", "tulips")}
    pictures["noise"] = random.integers(0, 256, (96, 96, 3)).astype(np.uint8)
    asked = [folder / f"{name}.png" for name in pictures]
    for path, pixels in zip(asked, pictures.values(), strict=True):
        keras.utils.save_img(path, pixels, scale=False)

answers = run.predict(asked)
readable = [answer for answer in answers if answer.error is None]
for answer in answers:
    print(
        f"{Path(answer.path).name:16} {answer.error or f'{answer.name} {answer.probability:.0%}'}"
    )

# %%
figures.show_asked(
    [np.asarray(keras.utils.load_img(answer.path)) for answer in readable],
    [Path(answer.path).stem for answer in readable],
    [answer.probabilities for answer in readable],
)

# %% [markdown]
# The noise is given a class too. Softmax's answers add up to 1 whatever comes in, so the net can only choose among the
# classes it knows; "none of these" is not among them. A net that is asked about anything should learn a class "other" with
# photos of many kinds, or its less sure answers should go to a person. The report of a run says how sure answers and right
# answers agree (calibration).
#
# ## What you have done
#
# From a single neuron to a large convolutional net that was fine-tuned and asked about photos it had never seen. For photos
# of your own all of this is one command, `fireweed train --data FOLDER`, and you know what it does.
#
# ## What to try next
#
# * In section 4 give `FULL_RATE` a tenth, in `constant` only. Is the full rate harmful, or any rate?
# * In section 3 take four photos a class, or forty. When does pretraining stop paying?
# * In section 5, a ramp of one epoch, and one of fifteen.
# * `fireweed train --data FOLDER --recipe xception --minutes 20` fine-tunes in the time that you have.
# * `fireweed evaluate FOLDER --part test`, with the folder that the report of section 6 lies in, asks about photos that
#   were kept aside until now.
