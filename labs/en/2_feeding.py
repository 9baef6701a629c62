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
# # Lab 2: feeding the machine
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/en/2_feeding.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/en/2_feeding.ipynb)
# [繁體中文](../zh-TW/2_feeding.ipynb)
#
# A TPU or GPU trains on thousands of photos a second, if they get there. In this lab you time the way of a photo from the
# disk to the net, find where it is held up, and build a pipeline that keeps up. Then you look into the machine: how it
# multiplies matrices, why it likes numbers of 16 bits, how eight devices learn as one, and where you can have one.
#
# You need lab 0, or its words: batch, gradient, learning rate, epoch. It takes about 55 minutes, on any machine: no TPU is
# needed to understand one. Words in **bold** are in the [glossary](../../docs/glossary.md).

# %% tags=["setup"]
# Installs what is not there yet, as on Colab or Kaggle; the TensorFlow that is there is kept.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("fireweed") is None:
    address = "git+https://github.com/YOUR_ACCOUNT/fireweed"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", address], check=True)
if importlib.util.find_spec("jax") is None:  # for section 8
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "jax"], check=True)

# %%
import json
import os
import struct
import time
from pathlib import Path

import ml_dtypes
import numpy as np

import fireweed as fw
from fireweed import teaching
from fireweed.data.decode import read_photo, to_square
from fireweed.data.records import read_bytes
from fireweed.teaching import checks, figures

teaching.begin("en")  # chooses a TPU, a GPU or the CPU, and says which

# %%
import keras

from fireweed.devices.backends import tensorflow

tf = tensorflow()  # TensorFlow; where JAX computes, it leaves the TPU or GPU alone

# %% [markdown]
# With `quick = True` fewer photos take the way, to see the whole lab in a minute. Times differ from run to run, and more so
# on a machine that has other work; look at which is larger, not at the last digit.

# %% tags=["parameters"]
quick = False
# Flowers drawn by program; or "flowers", or a folder of your own photos with a folder for each class.
DATA = "drawn"

# %% [markdown]
# ## 1. The way of a photo
#
# Before a net learns from a photo, it is *read* from the disk, *decoded* (a JPEG is compressed; the net wants pixels), made
# a *square*, *changed* a little, so that the net sees it differently in every epoch (**augmentation**, of training photos
# only), and joined with others into a *batch*. This is the **pipeline**. We walk it by hand and time each stage.

# %%
SIDE = 96
random = np.random.default_rng(0)
catalog = fw.open_data(DATA)
chosen = [
    catalog.photos[i] for i in random.permutation(len(catalog.photos))[: 96 if quick else 480]
]
labels = np.array([photo.label for photo in chosen])


def changed(square):
    grey = square.mean(axis=2, keepdims=True)
    lively = grey + random.uniform(0, 2) * (square - grey)  # from grey to twice as colourful
    if random.random() < 0.5:
        lively = lively[:, ::-1]  # mirrored
    return np.clip(lively, 0, 255).astype(np.uint8)


rates = {}  # photos a second, by stage


def timed(stage, work, items):
    start = time.perf_counter()
    results = [work(item) for item in items]
    rates[stage] = len(items) / (time.perf_counter() - start)
    return results


files = timed("read", read_bytes, chosen)
decoded = timed("decode", read_photo, files)
squares = timed("square", lambda rgb: to_square(rgb, SIDE), decoded)
different = timed("change", changed, squares)
batch = 32
batches = timed(
    "batch", lambda i: np.stack(different[i : i + batch]), range(0, len(chosen) - batch + 1, batch)
)
rates["batch"] *= batch
figures.show_rates(rates)

# %% [markdown]
# And the net? The convnet of lab 1 learns from the same batches:

# %%
net = fw.build_model("convnet", classes=len(catalog.classes), side=SIDE)
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
net.train_on_batch(batches[0], labels[:batch])  # once to warm up: the first step compiles
timed("train", lambda photos: net.train_on_batch(photos, labels[:batch]), batches)
rates["train"] *= batch
figures.show_rates(rates)

# %% [markdown]
# The slowest stage is the **bottleneck**. On a CPU it usually is the training itself. Now suppose a chip that trains 200
# times as fast (change `faster`): who is the slowest now?

# %%
faster = 200
figures.show_rates({**rates, "train": rates["train"] * faster})

# %% [markdown]
# A quick chip that waits is an expensive heater. Making the training faster still would gain nothing now; only the
# bottleneck counts. Two things help: let the stages work *at the same time*, each on another photo, as in a factory; and do
# the slow stages *less often*, or on more processors.
#
# **Exercise 1: how many photos a second come out?** `rates` is an array with the photos a second of each stage.
# `at_once=False`: one worker does all stages of a photo, then takes the next photo. `at_once=True`: each stage has a worker
# of its own, and all work at the same time.


# %% tags=["exercise", "pipeline_rate"]
def pipeline_rate(rates, at_once):
    return ...


# %% tags=["check", "pipeline_rate"]
checks.check_pipeline_rate(pipeline_rate)

# %% [markdown] tags=["solution", "pipeline_rate"]
# <details><summary>Solution</summary>
#
# ```python
# def pipeline_rate(rates, at_once):
#     if at_once:
#         return rates.min()
#     return 1 / (1 / rates).sum()
# ```
#
# A stage of 50 photos a second needs 1/50 second for each. In turn these seconds add up.
#
# </details>

# %% [markdown]
# ## 2. From many files to a few shards
#
# Reading looked quick, because these files lie on a disk of this machine. Large sets lie in a **bucket**, storage in a
# cloud, read over the network. There each file is a request, and a request takes a while, however small the file:

# %%
request_seconds = 0.05  # a supposition; change it
for files_read, what in ((3670, "a file for each of 3,670 photos"), (16, "16 large files")):
    print(f"{what}: {files_read * request_seconds:.1f} s of waiting, one after the other")

# %% [markdown]
# So photos are put together into some large files, called **shards**: few requests, read from beginning to end, several of
# them at the same time. The usual format is **TFRecord**: one record after another, each with its length before it. A record
# is a `tf.train.Example`, a dictionary from names to lists of bytes, whole numbers or floats. The flowers of the codelab
# that these labs follow (Google's "Keras on TPU") have these five features:


# %%
def example_of(square, label):
    jpeg = tf.io.encode_jpeg(square, quality=95, chroma_downsampling=False).numpy()
    one_hot = np.eye(len(catalog.classes))[label]
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[jpeg])),
        "class": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "label": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[catalog.classes[label].encode()])
        ),
        "size": tf.train.Feature(int64_list=tf.train.Int64List(value=square.shape[:2])),
        "one_hot_class": tf.train.Feature(float_list=tf.train.FloatList(value=one_hot)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


folder = Path("lab-2")
folder.mkdir(exist_ok=True)
paths = []
for number, some in enumerate(np.array_split(np.arange(len(squares)), 4)):
    paths.append(str(folder / f"flowers{number:02d}-{len(some)}.tfrec"))  # the count in the name
    with tf.io.TFRecordWriter(paths[-1]) as writer:
        for i in some:
            writer.write(example_of(squares[i], labels[i]))
for path in paths:
    print(f"{path}: {Path(path).stat().st_size:,} bytes")

# %% [markdown]
# There is no secret in such a file. Eight bytes say how long the record is, four check them, then comes the record, and four
# more check it:

# %%
beginning = Path(paths[0]).read_bytes()
(length,) = struct.unpack("<Q", beginning[:8])
first = tf.train.Example.FromString(beginning[12 : 12 + length])
print(f"first record: {length:,} bytes")
for name, feature in sorted(first.features.feature.items()):
    print(f"  {name:14} {' '.join(str(feature).split())[:50]} ...")

# %% [markdown]
# Fireweed writes such shards with one command, in the same format and with more care (twins on one side of the split,
# checksums, a list of what is where): `fireweed shards PHOTOS FOLDER --side 192 --count 16`. Training takes them as
# `--data 'FOLDER/*.tfrec'`, also from `gs://`.
#
# ## 3. tf.data: all stages at the same time
#
# `tf.data` builds a pipeline from pieces. Each piece takes a data set and gives a new one; nothing runs until someone asks
# for photos, and then all stages run at the same time, in TensorFlow's own threads.
#
# **Exercise 2: read a record.** `record` is a string of bytes, one `tf.train.Example` as above. Give back two things: the
# photo as pixels, and its class as a number. `tf.io.parse_single_example(record, features)` takes a record apart, into a
# dictionary; `features` says what to look for:
#
# ```python
# features = {
#     "image": tf.io.FixedLenFeature([], tf.string),
#     "class": tf.io.FixedLenFeature([], tf.int64),
# }
# ```
#
# `tf.io.decode_jpeg(bytes, channels=3)` gives pixels. Leave them uint8.


# %% tags=["exercise", "read_record"]
def read_record(record):
    return ...


# %% tags=["check", "read_record"]
checks.check_read_record(read_record)

# %% [markdown] tags=["solution", "read_record"]
# <details><summary>Solution</summary>
#
# ```python
# def read_record(record):
#     features = {
#         "image": tf.io.FixedLenFeature([], tf.string),
#         "class": tf.io.FixedLenFeature([], tf.int64),
#     }
#     found = tf.io.parse_single_example(record, features)
#     return tf.io.decode_jpeg(found["image"], channels=3), found["class"]
# ```
#
# </details>

# %% [markdown]
# Now the whole pipeline, piece by piece, in the order that matters:
#
# 1. *read* several shards at once, and do not wait for the one whose turn it is: order does not matter, we shuffle anyway;
# 2. *decode*, on all processors;
# 3. **cache**: keep the decoded photos in memory. From the second epoch on, all that was before costs nothing;
# 4. *change*, behind the cache, so that each epoch is different;
# 5. *shuffle*, *batch*, and **prefetch**: have the next batch ready while the net works on this one.
#
# (`repeat()` behind the cache makes the data set endless, for training with `steps_per_epoch`.)


# %%
WANTED = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "class": tf.io.FixedLenFeature([], tf.int64),
}


def photo_of(record):
    found = tf.io.parse_single_example(record, WANTED)
    photo = tf.io.decode_jpeg(found["image"], channels=3)
    return tf.ensure_shape(photo, (SIDE, SIDE, 3)), found["class"]


def change(photo, label):
    photo = tf.image.random_flip_left_right(photo)
    return tf.image.random_saturation(photo, lower=0, upper=2), label


AUTO = tf.data.AUTOTUNE  # as many at once as pays
any_order = tf.data.Options()
any_order.deterministic = False

records = tf.data.TFRecordDataset(paths, num_parallel_reads=AUTO).with_options(any_order)
pixels = records.map(photo_of, num_parallel_calls=AUTO)
kept = pixels.cache()
varied = kept.map(change, num_parallel_calls=AUTO)
ready = varied.shuffle(2048).batch(batch, drop_remainder=True).prefetch(AUTO)


def photos_per_second(batches):
    start = time.perf_counter()
    count = sum(batch for _ in batches)
    return count / (time.perf_counter() - start)


list(kept)  # the first epoch fills the cache
so_far = {"records": records, "+ decode": pixels, "+ cache, 2nd epoch": kept, "+ change": varied}
flow = {
    name: photos_per_second(dataset.batch(batch, drop_remainder=True))
    for name, dataset in so_far.items()
}
flow["+ shuffle, prefetch"] = photos_per_second(ready)
figures.show_rates(flow, is_marked=False)

# %% [markdown]
# Each bar is the pipeline up to there, so the largest drop shows the stage that costs most. (In so short a test the last
# one is often lower than it deserves: `shuffle` fills its buffer before it gives anything.) Try it: what if you put `cache()`
# behind `change`? It gets quicker, and wrong: every epoch shows the same changes. What if you leave `num_parallel_calls` out?
#
# (Fireweed goes a step further. It decodes each photo once into an array of squares, and lets tf.data only gather, change and
# join the rows that the plan of the epoch names; where a GPU's or TPU's memory holds all squares, they are put there once. It
# says how long a training waited for photos, in the column `share_of_seconds_waited` of `history.csv`.)
#
# What prefetch does shows best on a timeline. We measure how long a batch takes to prepare without a cache, and let a
# pretended chip train on it for as long: it sleeps, which leaves the processors free, as a real accelerator does. (Where you
# forget to prefetch, or to run a map in parallel, today's TensorFlow does it by itself. To see the difference, `by_hand` turns
# that off.)

# %%
by_hand = tf.data.Options()
by_hand.autotune.enabled = False
for name in ("apply_default_optimizations", "inject_prefetch", "map_parallelization"):
    setattr(by_hand.experimental_optimization, name, False)
preparing = records.map(photo_of).map(change).batch(batch, drop_remainder=True)
preparing = preparing.with_options(by_hand)


def epoch_seconds(dataset, train_seconds):
    start = time.perf_counter()
    for _ in dataset:
        time.sleep(train_seconds)
    return time.perf_counter() - start


def best_of_five(
    dataset, train_seconds
):  # other programs disturb; the quickest was disturbed least
    return min(epoch_seconds(dataset, train_seconds) for _ in range(5))


count = len(chosen) // batch
prepare_seconds = best_of_five(preparing, 0) / count
in_turn = best_of_five(preparing, prepare_seconds)
ahead = best_of_five(preparing.prefetch(2), prepare_seconds)
print(f"{count} batches in turn: {in_turn * 1000:.0f} ms; prefetched: {ahead * 1000:.0f} ms")
figures.show_timeline(prepare_seconds, prepare_seconds)

# %% [markdown]
# ## 4. What may not stand in a graph
#
# What you gave to `map` is Python, and yet no Python runs when photos flow. TensorFlow called your function *once*, with
# stand-ins for the photos, and noted which operations it used: a **graph**. JAX does the same under `jit`, and so does Keras
# with the training step. What is not an operation is not in the graph: it happens once, while it is drawn.

# %%
import random as python_random


@tf.function
def brighten(value):
    print("Python runs here, once")
    return value * python_random.uniform(0.5, 1.5), value * tf.random.uniform([], 0.5, 1.5)


for _ in range(3):
    frozen, fresh = brighten(tf.constant(1.0))
    print(f"Python's random number: {frozen:.3f}; TensorFlow's: {fresh:.3f}")

# %% [markdown]
# Python's "random" number has become a constant. `tf.py_function` is a back door: it calls Python from the graph after all.
# On the host that works, slowly, one call at a time. What runs on a TPU has no Python to call. There the graph goes through
# **XLA**, a compiler, which turns all operations of a step into one program for the chip. It cannot translate everything:
# no Python, no strings, nothing whose size depends on the data. See it refuse, here on your CPU:


# %%
@tf.function(jit_compile=True)  # through XLA
def with_python(value):
    return tf.py_function(lambda x: x + 1, [value], tf.float32)


try:
    with_python(tf.constant(1.0))
except Exception as error:
    print(type(error).__name__, str(error).partition(" on ")[2][:120])

# %% [markdown]
# This holds for the training step only. The input pipeline runs on the host's CPU, where every TensorFlow operation is
# allowed; and `drop_remainder=True` above gave all batches the same size, so that XLA compiles one program and not two.
#
# What XLA is good for: without it each operation reads its numbers from memory and writes them back. XLA joins ("fuses")
# operations, so that a number is read once, goes through all of them, and is written once. You never call it yourself: on a
# TPU, and with JAX, it always compiles; Keras has `jit_compile` for it.


# %%
def several(x):
    for _ in range(8):
        x = tf.nn.relu(x * 1.01 + 0.01)
    return x


def seconds(work, times=5):
    work()  # once to warm up; XLA compiles here
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


values = tf.random.uniform((500_000 if quick else 4_000_000,))
with tf.device("/cpu:0"):
    plain, compiled = tf.function(several), tf.function(several, jit_compile=True)
    print(f"24 operations one by one: {seconds(lambda: plain(values)) * 1000:.1f} ms")
    print(f"joined by XLA:            {seconds(lambda: compiled(values)) * 1000:.1f} ms")

# %% [markdown]
# **Narrow integers.** A pixel is a number from 0 to 255, one byte, uint8. As float32 it takes four. So photos travel as uint8,
# and the net's first layer makes floats of them on the device:

# %%
shape = (128, 192, 192, 3)
for kind in (np.uint8, np.float32):
    print(f"a batch {shape} as {kind.__name__:7} {np.zeros(shape, kind).nbytes / 1e6:6.1f} MB")
print("but do not calculate in uint8: 200 + 100 =", np.array([200], np.uint8) + np.uint8(100))

# %% [markdown]
# The vector unit of a TPU works with 32 bits; there int8 and int16 are widened to int32, as the codelab says. That narrow
# integers have no hardware at all is no longer true: the matrix units of newer TPUs multiply int8 (those of v5e and v6e about
# twice as fast as bfloat16), for nets that answer; for training they are of little use.
#
# ## 5. The matrix unit
#
# Lab 0 showed that a dense layer is a product of matrices; a convolution is one too, if each patch is laid out as a row.
# Nearly all of a net's work is multiply-adds of this kind. So a TPU core has two parts: the **MXU**, a unit for products of
# matrices, and the **VPU**, a vector processor for all the rest: relu, softmax, norms.
#
# One number of a product is a row times a column:

# %%
X = np.array([[1, 2, 0, 1], [3, 1, 2, 0], [0, 1, 1, 2], [2, 0, 1, 3]])  # four photos, four inputs
W = np.array([[1, 0, 2, 1], [2, 1, 0, 1], [0, 3, 1, 0], [1, 1, 0, 2]])  # four neurons
print(
    "Y[2,0] =",
    " + ".join(f"{x}×{w}" for x, w in zip(X[2], W[:, 0], strict=True)),
    "=",
    X[2] @ W[:, 0],
)

# %% [markdown]
# A general processor fetches both numbers from memory or a register, multiplies, adds, puts the sum back, 64 times for this
# small product. A **systolic array** wastes no time on fetching. It is a square of units that can do one thing only: multiply
# the number that comes from the left by the weight it holds, add the sum that comes from above, pass the number to the right
# and the sum downwards. (Systole is the beat of the heart: with each beat everything moves one place on.) Follow it:


# %%
def systolic(photos, weights):
    rows, inner, columns = *photos.shape, weights.shape[1]
    numbers, sums = np.zeros((inner, columns)), np.zeros((inner, columns))
    product = np.zeros((rows, columns))
    steps = rows + inner + columns - 2
    for step in range(steps):
        numbers[:, 1:] = numbers[:, :-1].copy()  # each number moves one to the right
        for k in range(inner):  # row k of the array begins k steps later
            photo = step - k
            numbers[k, 0] = photos[photo, k] if 0 <= photo < rows else 0
        sums[1:] = sums[:-1].copy()  # each sum moves one down
        sums[0] = 0
        sums += numbers * weights  # all units at the same time
        for n in range(columns):  # finished sums leave below
            photo = step - n - (inner - 1)
            if 0 <= photo < rows:
                product[photo, n] = sums[-1, n]
    return product, steps


Y, steps = systolic(X, W)
print(f"the same as X @ W: {np.array_equal(Y, X @ W)}; after {steps} steps")
figures.show_systolic(X, W, steps=(0, 3, 6))

# %% [markdown]
# Blue units are at work, orange numbers are finished. Look at other steps, from 0 to 9. Only in the middle all units work:
# at the beginning numbers have not arrived everywhere, at the end they have left.
#
# A matrix unit of a TPU is an array of 128 by 128 units, 16,384 of them (256 by 256 since v6e). So small a unit fits so
# often on a chip because it does nothing else, and takes numbers of 16 bits. The codelab compares it with the 4,000 general
# cores of a large GPU of its time. That is half the story: since 2017 NVIDIA's GPUs have matrix units too, smaller ones and
# many of them, called tensor cores.
#
# **Exercise 3: how busy are the units?** `rows` photos go through an array of `side` by `side` units. Counted as above, the
# product takes rows + side + side − 2 steps, and each unit works in `rows` of them. Give back the share of steps in which a
# unit works.


# %% tags=["exercise", "busy_share"]
def busy_share(rows, side):
    return ...


# %% tags=["check", "busy_share"]
checks.check_busy_share(busy_share)

# %% [markdown] tags=["solution", "busy_share"]
# <details><summary>Solution</summary>
#
# ```python
# def busy_share(rows, side):
#     return rows / (rows + 2 * side - 2)
# ```
#
# </details>

# %%
for rows in (1, 8, 128, 1024, 8 * 24 * 24):
    print(
        f"{rows:5,} rows through 128 x 128 units: busy {rows / (rows + 2 * 128 - 2):.0%} of the time"
    )

# %% [markdown]
# That is the hardware's reason for large batches: 128 photos for each core are ideal, so the codelab, and from 8 on it works
# well. How can 8 be enough? In a convolution every place of a photo is a row: eight photos of 24 by 24 places are the last
# line. (And a real array takes in the next product while the last one still drains.) Numbers that are no multiples fill up
# with zeros: a layer of 5 neurons uses 5 of 128 columns. Multiples of 8 for batches and of 128 for wide layers waste least.
#
# ## 6. Sixteen bits
#
# Half the bits are half the memory, half the traffic and a small part of the circuit for a multiplication. But which bits?
# A floating-point number has a sign, an exponent, which says how large it is, and a fraction, which says its digits:

# %%
figures.show_bits({"float32": (8, 23), "bfloat16": (8, 7), "float16": (5, 10)})

# %%
kinds = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
for name, kind in kinds.items():
    limits = ml_dtypes.finfo(kind)
    print(
        f"{name:9} largest {float(limits.max):9.3g}   smallest normal {float(limits.tiny):9.3g}",
        f"  1 + {float(limits.eps):.1g} is the next after 1",
    )

# %%
with np.errstate(over="ignore"):
    for value in (1 / 3, 257.0, 1.001, 70_000.0, 3e-9, 1e30):
        told = "   ".join(f"{name} {float(kind(value)):<12.6g}" for name, kind in kinds.items())
        print(f"{value:<9.4g} {told}")

# %% [markdown]
# **float16** has more digits but a narrow range: 70,000 is too large (infinity: *overflow*), 3e-9 too small (zero:
# *underflow*). Gradients often are that small. **bfloat16** has float32's range and two to three digits: 257 becomes 256. Nets
# live with few digits, noise even helps at times; they do not live with infinities and vanished gradients. That is why Google
# made bfloat16 for the TPU. It is a float32 whose lower half was cut off:
#
# **Exercise 4: make bfloat16.** `values` is a float32 array. Give back a float32 array of the same shape in which the lower 16
# of the 32 bits of each number are 0: cut, do not round. `values.view(np.uint32)` reads the same bits as whole numbers,
# `& 0xFFFF0000` keeps the upper 16 bits, `.view(np.float32)` reads the result as floats again.


# %% tags=["exercise", "to_bfloat16"]
def to_bfloat16(values):
    return ...


# %% tags=["check", "to_bfloat16"]
checks.check_to_bfloat16(to_bfloat16)

# %% [markdown] tags=["solution", "to_bfloat16"]
# <details><summary>Solution</summary>
#
# ```python
# def to_bfloat16(values):
#     return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
# ```
#
# Chips round to the nearest instead, which is right on average.
#
# </details>

# %% [markdown]
# Few digits harm where many numbers are added up: when the sum is large, a small number no longer changes it. So the matrix
# unit multiplies bfloat16 and adds in float32. This is **mixed precision**:

# %%
ones = np.ones(1000, ml_dtypes.bfloat16)
sum16, sum32 = ml_dtypes.bfloat16(0), np.float32(0)
for one in ones:
    sum16, sum32 = sum16 + one, sum32 + np.float32(one)
print(f"1 added 1,000 times: in bfloat16 {float(sum16):.0f}, in float32 {float(sum32):.0f}")

# %% [markdown]
# And float16? On GPUs of before 2020, such as the T4, it is the only fast half. The remedy is *loss scaling*: multiply the loss,
# and with it all gradients, so that they stay in range, and divide before the step. bfloat16 needs none of it:

# %%
gradient, scale = 3e-9, 2.0**15
print(
    f"float16: {float(np.float16(gradient)):.3g};",
    f"scaled by {scale:,.0f} and back: {float(np.float16(gradient * scale)) / scale:.3g}",
)
print(f"bfloat16, as it is: {float(ml_dtypes.bfloat16(gradient)):.3g}")

# %% [markdown]
# In Keras: `keras.config.set_dtype_policy("mixed_bfloat16")` before the model is built; `LossScaleOptimizer` comes by itself
# with `mixed_float16`. In Fireweed: `--precision`; without it, it takes what the device is good at, and says why.
#
# ## 7. Several devices, one batch
#
# Eight cores learn together as follows. Each holds a copy of the net, a **replica**. The batch is dealt out, each replica
# works out the gradient of its share, the gradients are averaged over all, and each replica takes the same step, so that all
# copies stay equal. This is **data-parallel** training. The batch that all share is the **global batch**:

# %%
training_photos = 2_990  # of the codelab's flowers
for each in (8, 16, 32, 128):
    whole = each * 8
    print(
        f"{each:3} a replica x 8 replicas = global batch {whole:5,}:",
        f"{-(-training_photos // whole):3} steps an epoch",
    )

# %% [markdown]
# In Keras the batch size that you give is the global one; it is split by itself. A larger batch means fewer steps, and so the
# learning rate is raised with it (for SGD in proportion, with a ramp at the start). Fireweed does so and says it.
#
# **Exercise 5: one gradient of many.** Each replica gives the *mean* gradient of its own photos. The last batch of an epoch may
# not divide evenly: some replicas had more photos than others. `gradients` has a row a replica, (replicas, weights), `counts`
# the number of photos of each. Give back the mean gradient over all photos, (weights,).


# %% tags=["exercise", "combined"]
def combined(gradients, counts):
    return ...


# %% tags=["check", "combined"]
checks.check_combined(combined)

# %% [markdown] tags=["solution", "combined"]
# <details><summary>Solution</summary>
#
# ```python
# def combined(gradients, counts):
#     return (gradients * counts[:, None]).sum(axis=0) / counts.sum()
# ```
#
# Keras and Fireweed do the same with weights: photos that only fill up the last batch weigh 0.
#
# </details>

# %% [markdown]
# To add up the gradients of all devices so that every device has the sum is called **all-reduce**. If all sent everything to
# one device, that one would drown. On a *ring* each device talks to its neighbour only. The gradients are cut into as many
# pieces as there are devices. In the first round each step passes one piece on, and the receiver adds its own; after
# devices − 1 steps every device has one piece that is finished. In the second round the finished pieces go around.


# %%
def ring_all_reduce(gradients):
    held = gradients.astype(float)  # (devices, pieces): what each device holds
    devices = len(held)
    states = [held.copy()]
    for step in range(2 * (devices - 1)):
        before = held.copy()
        for device in range(devices):
            neighbour, piece = (device + 1) % devices, (device - step) % devices
            if step < devices - 1:  # first round: add up
                held[neighbour, piece] += before[device, piece]
            else:  # second round: hand out
                held[neighbour, piece] = before[device, piece]
        states.append(held.copy())
    return states


gradients = np.array([[1, 2, 3, 4], [10, 20, 30, 40], [5, 5, 5, 5], [2, 1, 2, 1]])
states = ring_all_reduce(gradients)
figures.show_ring(states, steps=(0, 1, 3, 6))

# %% [markdown]
# **Exercise 6: how much does each device send?** There are `weights` gradients on each of `devices` devices. A step sends one
# piece, weights / devices numbers; each of the two rounds has devices − 1 steps. How many numbers does one device send?


# %% tags=["exercise", "sent_numbers"]
def sent_numbers(devices, weights):
    return ...


# %% tags=["check", "sent_numbers"]
checks.check_sent_numbers(sent_numbers)

# %% [markdown] tags=["solution", "sent_numbers"]
# <details><summary>Solution</summary>
#
# ```python
# def sent_numbers(devices, weights):
#     return 2 * (devices - 1) * weights / devices
# ```
#
# </details>

# %%
weights = fw.build_model("squeezenet", classes=5, side=192).count_params()
for devices in (2, 8, 256):
    sent = 2 * (devices - 1) * weights / devices * 4 / 1e6
    print(
        f"squeezenet, {weights:,} numbers of 4 bytes, {devices:3} devices: each sends {sent:.2f} MB a step"
    )

# %% [markdown]
# The chips of a TPU are wired for this: each is joined to its neighbours in a grid whose edges meet again (a torus: rings in
# two directions, in some generations three), and gradients go around in all directions. Such a machine of many boards is a
# **pod**. How it grew, from the codelab and the maker's pages as of November 2026
# ([v5e](https://docs.cloud.google.com/tpu/docs/v5e), [v6e](https://docs.cloud.google.com/tpu/docs/v6e),
# [TPU7x](https://docs.cloud.google.com/tpu/docs/tpu7x)):
#
# | | one chip | joined to |
# |---|---|---|
# | v2 (the codelab's) | 2 cores, each with an MXU of 128x128 and a VPU | 4 chips = 8 cores a board, reached over the network; pods to 512 cores |
# | v3 | 2 cores, two MXUs each | pods to 2,048 cores |
# | v5e | 1 core, four MXUs, 16 GB | 1, 4 or 8 chips a machine; pods to 256 chips |
# | v6e | 1 core, two MXUs of 256x256, 32 GB | 1, 4 or 8 chips a machine; pods to 256 chips |
# | TPU7x | 2 cores, 192 GB | 4 chips a machine; pods to 9,216 chips |
#
# A v2 board sat in a machine of its own, and your notebook reached it over the network (that is what `TPU_NAME` and
# `TPUClusterResolver` were for). Today your program runs on the machine that the chips are plugged into.
#
# ## 8. Eight devices on your desk
#
# To try this without a TPU, JAX can take one CPU for eight devices. The switch is read when JAX starts, so we start a small
# program of its own. It trains the same net on the same batches, on one device and then on eight. `DataParallel` deals out each
# batch, and XLA puts the all-reduce into the compiled step: the net and the training know nothing of it.

# %%
program = """
import json, sys
import keras, numpy as np

data = np.load(sys.argv[1])
photos, labels, batch, steps = data["photos"], data["labels"], int(sys.argv[2]), int(sys.argv[3])

def losses(devices, weights=None):
    names = keras.distribution.list_devices()[:devices]
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names))
    net = keras.Sequential([
        keras.Input(photos.shape[1:]),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(int(labels.max()) + 1, activation="softmax"),
    ])
    net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    if weights:
        net.set_weights(weights)
    weights = net.get_weights()
    told = []
    for step in range(steps):
        some = (np.arange(batch) + step * batch) % len(photos)
        net.reset_metrics()
        told.append(float(net.train_on_batch(photos[some], labels[some])))
    return told, weights

one, weights = losses(1)
eight, _ = losses(8, weights)  # from the same weights
print(json.dumps({"devices": len(keras.distribution.list_devices()), "one": one, "eight": eight}))
"""
(folder / "eight.py").write_text(program)
small = np.stack(squares)[:, ::2, ::2]  # every second pixel
np.savez(folder / "photos.npz", photos=small, labels=labels)
surroundings = {
    **os.environ,
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
}
done = subprocess.run(
    [sys.executable, folder / "eight.py", folder / "photos.npz", "64", "6" if quick else "40"],
    env=surroundings,
    capture_output=True,
    text=True,
    check=False,
)
if done.returncode:
    raise RuntimeError(done.stderr[-1000:])
told = json.loads(done.stdout.splitlines()[-1])
apart = max(abs(a - b) for a, b in zip(told["one"], told["eight"], strict=True))
print(
    f"{told['devices']} devices; {len(told['one'])} steps; losses differ by {apart:.1g} at most: rounding"
)
figures.show_same_losses(told["one"], told["eight"], devices=8)

# %% [markdown]
# The same losses: eight devices compute what one would. (Even the norm's mean and spread are those of the whole batch.) Nothing
# got faster, because your CPU has not become eight. Fireweed does this for you: `fireweed train --data drawn --backend jax
# --device cpu --devices 8`, and on a machine with several TPUs or GPUs without being asked.
#
# The codelab finds the machine with `TPUClusterResolver` and trains within `TPUStrategy`'s scope. That is TensorFlow's way,
# which ended for TPUs with version 2.19; today Keras reaches them through JAX. The idea has stayed: first say how the work is
# shared out, then build the model, then `fit` as always. `tf.distribute.MirroredStrategy` still does it for several GPUs.
#
# ## 9. Very large batches: LARS
#
# The larger the machine, the larger the global batch, and the larger the learning rate to go with it. At some point training
# breaks. The reason is in the layers: a step is rate × gradient, and how large that is, compared with the weights that it
# changes, differs from layer to layer. A rate that is right for one layer blows up another. **LARS** (layer-wise adaptive rate
# scaling, You and others, [2017](https://arxiv.org/abs/1708.03888)) measures, for each layer, the size of the weights and of
# the gradient, and scales the step so that every layer moves by the same share of its size. With it ResNet-50 was trained with
# batches of 32,768 without loss of accuracy. One step of each optimizer, on the same photos and the same net, one of the kind
# that lab 3 builds:

# %%
from fireweed.training.lars import Lars


def moves(optimizer):
    keras.utils.set_random_seed(0)
    net = fw.build_model(
        "conv 16 | fire 16 32 | pool | fire 24 48 | pool | fire 32 64 | gap",
        classes=len(catalog.classes),
        side=small.shape[1],
    )
    net.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", run_eagerly=True)
    layers = {layer.name: layer for layer in net.layers if hasattr(layer, "kernel")}
    before = {name: layer.get_weights()[0] for name, layer in layers.items()}
    net.train_on_batch(small[:64], labels[:64])
    return {
        name: float(
            np.linalg.norm(layer.get_weights()[0] - before[name]) / np.linalg.norm(before[name])
        )
        for name, layer in layers.items()
    }


figures.show_moves(
    {
        "SGD": moves(keras.optimizers.SGD(learning_rate=0.05)),
        "LARS": moves(Lars(learning_rate=10.0, trust=0.001)),
    }
)

# %% [markdown]
# With LARS every layer moves by learning rate × trust = 1% of its size. For the batches of this lab, dozens or hundreds of photos,
# SGD or Adam do as well; in Fireweed it is `--set training.optimizer=lars`.
#
# ## 10. Where you can have one
#
# As of November 2026; such offers change often, and this project has tried few of them
# ([what was tried](../../docs/devices.md)).
#
# | where | what | how |
# |---|---|---|
# | Colab, free | TPU v5e (one chip); GPU T4; for some hours, when there are some | Runtime, Change runtime type |
# | Colab, paid | TPU v6e (one chip); GPU L4, A100, G4 (RTX PRO 6000), H100 | the same menu |
# | Kaggle, free | TPU v5e-8, eight chips; two T4 GPUs; a number of hours a week | Settings, Accelerator; the account needs a telephone number |
# | Google Cloud | TPU v5e to TPU7x, one chip to a pod; many kinds of GPUs | a virtual machine, a Kubernetes cluster, a training job |
# | your own | an NVIDIA GPU | in a clone of the project, `pip install '.[cuda]'` |
#
# The codelab's TPU v2-8 is no longer on Colab; eight chips at once are on Kaggle. On a TPU machine of your own install
# `'.[tpu]'`; Colab and Kaggle have JAX for theirs. A T4 has no bfloat16: Fireweed takes float16 with loss scaling there. In
# Google's cloud, a machine with eight chips of v5e is:
#
# ```
# gcloud compute tpus tpu-vm create NAME --zone=ZONE --accelerator-type=v5litepod-8 --version=v2-alpha-tpuv5-lite
# gcloud compute tpus tpu-vm ssh NAME --zone=ZONE
# gcloud compute tpus tpu-vm delete NAME --zone=ZONE
# ```
#
# Do not forget the last line: it costs by the hour. This interface [gets no new
# chips](https://docs.cloud.google.com/tpu/docs/create-tpu-vm) any more; from TPU7x on, TPUs are machine types of Compute Engine and
# Kubernetes. The codelab's AI Platform, with notebooks and training jobs, is gone (the jobs ended in
# January 2025). Vertex AI came after it, and since 2026 that is called Gemini Enterprise Agent Platform.
#
# Whatever you sit at, this says what there is, and what a training would use:

# %%
from fireweed.devices import choose_device

choice = choose_device()
print(f"kind: {choice.kind}; backend: {choice.backend}")
print(
    "in a terminal: fireweed devices; and with --check a short training, on one device and on all"
)

# %% [markdown]
# **Photos in a private bucket.** Shards in a public bucket are read without signing in. For a private one, the program needs to
# know who you are, and you need the right to read it (the role *Storage Object Viewer*):
#
# * on Colab: `authenticate_user` opens a window in which you choose your account;
# * on Kaggle: join your Google account once under Add-ons, Google Cloud SDK; the code below takes the credentials from there;
# * on a machine in Google's cloud: its service account is used; give that one the role;
# * on your own machine: `gcloud auth application-default login`, once.
#
# Then `fireweed train --data 'gs://BUCKET/shards/*.tfrec'`. If you may not read it, Fireweed says so in one line.


# %%
def sign_in():
    """Sign in to Google on Colab or Kaggle; elsewhere say what to do."""
    if importlib.util.find_spec("google.colab") is not None:
        from google.colab import auth

        auth.authenticate_user()
        return "signed in on Colab"
    if importlib.util.find_spec("kaggle_secrets") is not None:
        from kaggle_secrets import UserSecretsClient

        secrets = UserSecretsClient()
        secrets.set_tensorflow_credential(secrets.get_gcloud_credential())
        return "signed in on Kaggle"
    return "in a terminal: gcloud auth application-default login"


BUCKET = ""  # such as "gs://my-bucket/shards/*.tfrec"
if BUCKET:
    print(sign_in())
    print(len(fw.open_data(BUCKET).photos), "photos in", BUCKET)

# %% [markdown]
# ## What to try next
#
# * In section 1 set `SIDE = 32`. Which stages get quicker, and which one is the bottleneck now?
# * In section 3 time the pipeline without `num_parallel_calls`, and with one shard instead of four.
# * In section 5 give `systolic` eight photos instead of four. How many steps does it take?
# * In section 6: which is the smallest whole number that float16 cannot hold? And bfloat16?
# * In section 8 let the program train on 2 or 4 devices. What happens with a batch of 60, which 8 does not divide?
# * In section 9 use a learning rate of 1 for SGD: how far does each layer move?
#
# Next: [Lab 3: SqueezeNet](3_squeezenet.ipynb): a net of fire modules that reaches the codelab's goal.
