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
# # Lab 1: convolutions
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/en/1_convolutions.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/en/1_convolutions.ipynb)
# [繁體中文](../zh-TW/1_convolutions.ipynb)
#
# The dense net of [lab 0](0_pixels.ipynb) learns every place of a photo anew and does not know which pixels are neighbours.
# A *convolutional* net looks at small patches, with the same weights everywhere. You slide a filter over a photo by
# hand, count what it costs, and stack such layers into two nets that you train and look into.
#
# You need lab 0, or its words: weight, bias, relu, softmax, epoch. It takes about 55 minutes. Words in **bold** are in
# the [glossary](../../docs/glossary.md).

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

import numpy as np

import fireweed as fw
from fireweed import teaching
from fireweed.teaching import checks, figures

teaching.begin("en")  # chooses a TPU, a GPU or the CPU, and says which

# %% [markdown]
# With `quick = True` the nets train for one epoch only, to see the whole lab in a minute.

# %% tags=["parameters"]
quick = False
# Flowers drawn by program; or "flowers", or a folder of your own photos with a folder for each class.
DATA = "drawn"

# %%
photos = teaching.load_photos(DATA, side=48)
classes = len(photos.classes)
print(f"{len(photos.train)} training photos, {len(photos.validation)} for validation")

# %% [markdown]
# ## 1. A filter slides over a photo
#
# In a convolution a neuron sees a small patch only. It adds up the pixels of the patch, each times a weight, as every neuron
# does. Then the patch slides one pixel on and *the same weights* are used again, over the whole picture. Such a patch of
# weights is called a **filter** (or kernel), and the sliding is the **convolution**.
#
# Here is one step of it on a small picture of one channel, dark on the left, bright on the right:

# %%
small = np.array([[0, 0, 0, 9, 9, 9]] * 6)
vertical = np.array([[-1, 0, 1]] * 3)
figures.show_window(small, vertical, row=1, column=2)

# %% [markdown]
# This filter answers strongly where it gets brighter from left to right, and with 0 where all is alike: it finds vertical
# edges. Change `vertical` and `small`, and the window's place, and see what happens.
#
# The answers are smaller than the picture, by the filter's side less one: at the border the window would reach over the
# edge. With `padding="same"` a layer puts zeros around the picture, so that the size stays; without, it is called "valid".
#
# Now over a photo, in plain Python: two loops, and in them one line.


# %%
def slide_grey(picture, weights):
    side = weights.shape[0]
    rows, columns = picture.shape[0] - side + 1, picture.shape[1] - side + 1
    answer = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            patch = picture[row : row + side, column : column + side]
            answer[row, column] = (patch * weights).sum()
    return answer


photo = photos.train[photos.train_labels == 0][0]
grey = photo.mean(axis=2) / 255
filters = {
    "vertical edges": vertical,
    "horizontal edges": vertical.T,
    "spots": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    "mean (blur)": np.ones((3, 3)) / 9,
}
answers = {name: slide_grey(grey, weights) for name, weights in filters.items()}
figures.show_answers(grey, filters, answers)

# %% [markdown]
# These filters were thought out by people. A net starts with random ones, and finds by gradient descent which filters help
# to tell the classes apart.
#
# A photo has three channels, and a filter weights for each of them: one of 4 by 4 pixels has 4 x 4 x 3 = 48 weights. All
# 48 products are added up to *one* number.

# %%
print("weights of a 4x4 filter on 3 channels:", 4 * 4 * 3)
figures.show_channels(photo)

# %% [markdown]
# **Exercise 1: slide a filter over a colour photo.** `photo` is (height, width, 3), `weights` is (side, side, 3). Give back
# what comes out of relu, (height − side + 1, width − side + 1). Do not forget the bias.


# %% tags=["exercise", "slide"]
def slide(photo, weights, bias):
    return ...


# %% tags=["check", "slide"]
checks.check_slide(slide)

# %% [markdown] tags=["solution", "slide"]
# <details><summary>Solution</summary>
#
# ```python
# def slide(photo, weights, bias):
#     side = weights.shape[0]
#     rows, columns = photo.shape[0] - side + 1, photo.shape[1] - side + 1
#     answer = np.zeros((rows, columns))
#     for row in range(rows):
#         for column in range(columns):
#             answer[row, column] = (photo[row : row + side, column : column + side] * weights).sum() + bias
#     return np.maximum(answer, 0)
# ```
#
# </details>

# %% [markdown]
# ## 2. Cubes into cubes
#
# 48 weights are not much freedom. So the same photo is filtered again with new weights, and again. Each filter gives a
# picture of its own, and these pictures lie behind each other like red, green and blue do: we call them **channels** again.
# A convolution turns a cube of data into another cube of data, and that is why convolutions can be stacked.
#
# All filters of a layer together are one tensor of weights: (height, width, channels in, filters).

# %%
import keras

layer = keras.layers.Conv2D(filters=5, kernel_size=4, padding="same", activation="relu")
cube = keras.ops.convert_to_numpy(layer(photo[None] / 255))[0]
kernel, bias = layer.get_weights()
print("weights", kernel.shape, "=", kernel.size, "numbers, and", bias.size, "biases")
figures.show_cubes({"photo": photo.shape, "5 filters": cube.shape})

# %% [markdown]
# Is the layer the sum that you wrote? Take one place away from the border and one filter, and add up by hand. (With "same"
# and a filter of side 4, one pixel of border is added above and to the left.)

# %%
patch = photo[9:13, 19:23] / 255
by_hand = max(0.0, (patch * kernel[..., 2]).sum() + bias[2])
print(f"the layer: {cube[10, 20, 2]:.5f}; by hand: {by_hand:.5f}")

# %% [markdown]
# **Exercise 2: how many numbers does a convolution learn?** A filter is `side` by `side`; count the biases too.


# %% tags=["exercise", "conv_weights"]
def conv_weights(side, channels, filters):
    return ...


# %% tags=["check", "conv_weights"]
checks.check_conv_weights(conv_weights)

# %% [markdown] tags=["solution", "conv_weights"]
# <details><summary>Solution</summary>
#
# ```python
# def conv_weights(side, channels, filters):
#     return side * side * channels * filters + filters
# ```
#
# </details>

# %% [markdown]
# The size of the photo does not come into it. Compare with a dense layer that gives as many numbers as this convolution:

# %%
inputs, outputs = photo.size, cube.size
print(f"convolution: {kernel.size + bias.size:,} numbers to learn")
print(f"dense layer of as many outputs: {inputs * outputs + outputs:,}")

# %% [markdown]
# ## 3. Smaller cubes: strides and max-pooling
#
# To see that there is a flower, one need not know where each pixel is. So on its way through the net the data gets smaller
# in height and width, and usually deeper in channels. There are two ways to halve it:
#
# * a **stride** of 2: the filter slides in steps of two pixels (a strided convolution);
# * **max-pooling**: of each 2 x 2 only the largest number is kept, in each channel for itself. "Here somewhere the filter
#   found its pattern" is what remains.

# %%
values = np.array([[1, 3, 0, 2], [4, 2, 1, 0], [0, 1, 5, 6], [2, 0, 7, 1]])
largest = keras.ops.max_pool(values[None, ..., None].astype("float32"), pool_size=2)
figures.show_windows(
    values, strided=values[::2, ::2], pooled=keras.ops.convert_to_numpy(largest)[0, ..., 0]
)

# %% [markdown]
# **Exercise 3: max-pooling of a cube.** (height, width, channels) with even sides becomes (height / 2, width / 2, channels).


# %% tags=["exercise", "max_pool"]
def max_pool(cube):
    return ...


# %% tags=["check", "max_pool"]
checks.check_max_pool(max_pool)

# %% [markdown] tags=["solution", "max_pool"]
# <details><summary>Solution</summary>
#
# ```python
# def max_pool(cube):
#     height, width, channels = cube.shape
#     windows = cube.reshape(height // 2, 2, width // 2, 2, channels)
#     return windows.max(axis=(1, 3))
# ```
#
# Or four slices: `np.maximum.reduce([cube[::2, ::2], cube[1::2, ::2], cube[::2, 1::2], cube[1::2, 1::2]])`.
#
# </details>

# %% [markdown]
# ## 4. Two 3x3 filters against one 5x5
#
# How much of the photo does an output see? That is its **receptive field**. We ask a net: light up one pixel of a black
# picture after the other, and note whether the output in the middle changes.


# %%
def pixels_seen(kernel_sizes, side=11):
    layers = [keras.layers.Conv2D(1, size, padding="same", use_bias=False) for size in kernel_sizes]
    net = keras.Sequential([keras.Input((side, side, 1)), *layers])
    one_pixel_each = np.eye(side * side, dtype="float32").reshape(-1, side, side, 1)
    outputs = keras.ops.convert_to_numpy(net(one_pixel_each))
    return outputs[:, side // 2, side // 2, 0].reshape(side, side)


figures.show_reach(
    {
        "3x3": pixels_seen([3]),
        "3x3, 3x3": pixels_seen([3, 3]),
        "5x5": pixels_seen([5]),
        "3x3, 3x3, 3x3": pixels_seen([3, 3, 3]),
    }
)

# %% [markdown]
# Two 3x3 filters in a row see as much as one 5x5. They do not compute quite the same combinations of these pixels, but
# there is a second relu between them, and they cost less. Fireweed counts weights and **multiply-adds** (products that are
# added up, for one photo) of each layer of a net written as a line of text:

# %%
from fireweed.models.cost import layer_costs

for line in ("norm none | conv 24 | conv 24 3 x2 | gap", "norm none | conv 24 | conv 24 5 | gap"):
    layers = layer_costs(fw.build_model(line, side=48))
    behind = [layer for layer in layers if layer.kind == "Conv2D"][1:]
    parameters = sum(layer.parameters for layer in behind)
    products = sum(layer.multiply_adds for layer in behind)
    print(f"{line:42} behind the first layer: {parameters:,} weights, {products:,} multiply-adds")

# %% [markdown]
# Pooling makes fields grow quickly: behind it, one step to the side is two pixels of the photo.
#
# **Exercise 4: the receptive field.** `layers` is a list of pairs (side of the window, stride), in order from the photo;
# max-pooling of 2 x 2 is (2, 2). Give back the side, in pixels, of what one output of the last layer sees.
#
# Hint: start with a field of 1 and a step of 1 pixel. Each layer adds (side − 1) steps to the field, then its stride
# multiplies the step.


# %% tags=["exercise", "reach"]
def reach(layers):
    return ...


# %% tags=["check", "reach"]
checks.check_reach(reach)

# %% [markdown] tags=["solution", "reach"]
# <details><summary>Solution</summary>
#
# ```python
# def reach(layers):
#     field, step = 1, 1
#     for side, stride in layers:
#         field += (side - 1) * step
#         step *= stride
#     return field
# ```
#
# </details>

# %% [markdown]
# ## 5. What is a 1x1 convolution good for?
#
# On a flat picture a 1x1 filter would only multiply each pixel by a number. On a cube it does more: at every place it adds
# up *all channels*, each with its weight. It mixes channels and looks at no neighbours. If one channel says "pointed
# ears" and another "whiskers", a 1x1 filter can say "cat".
#
# Try it: four channels find edges towards right, left, below, above. One 1x1 filter with four weights makes outlines of
# them, whatever their direction:


# %%
def relu(x):
    return np.maximum(x, 0)


sideways, downwards = slide_grey(grey, vertical), slide_grey(grey, vertical.T)
edges = np.stack([relu(sideways), relu(-sideways), relu(downwards), relu(-downwards)], axis=-1)
mixture_weights = np.array([1.0, 1.0, 1.0, 1.0])
mixed = edges @ mixture_weights

as_layer = keras.ops.conv(
    edges[None].astype("float32"), mixture_weights.reshape(1, 1, 4, 1).astype("float32")
)
as_layer = keras.ops.convert_to_numpy(as_layer)[0, ..., 0]
print("the same as a 1x1 layer:", np.allclose(as_layer, mixed, atol=1e-5))
figures.show_maps(photo, {"4 channels": edges, "1x1 mixture": mixed[..., None]}, columns=4)

# %% [markdown]
# And it is cheap: a 3x3 filter has nine times the weights of a 1x1 on the same channels. So nets alternate them: 3x3 to
# look around, 1x1 to combine. Lab 3 builds a whole net on that thought.
#
# ## 6. The head: from a cube to classes
#
# At the end the last cube, small by now, is flattened into a vector, and a dense layer with softmax makes probabilities
# of it: the **classification head**. It is lab 0's last layer. Two such nets, as Fireweed has them; the second alternates
# 3x3 and 1x1:

# %%
side = photos.train.shape[1]
plain = fw.build_model("convnet", classes=classes, side=side)
for layer in layer_costs(plain)[1:]:
    cost = f"{layer.parameters:>7,} weights {layer.multiply_adds:>12,} multiply-adds"
    print(f"{layer.name:10} {layer.output_shape!s:14} {cost}")

# %%
mixing = fw.build_model("convnet-1x1", classes=classes, side=side)
shown = [
    layer
    for layer in layer_costs(mixing)
    if layer.name in ("scaling", "pool1", "pool2", "pool3", "conv5_1x1")
]
figures.show_cubes({layer.name: layer.output_shape for layer in shown})

# %%
figures.show_net(mixing)

# %% [markdown]
# ## 7. Train them
#
# In the same way as the dense net, which is trained once more beside them for comparison.

# %%
truth = keras.utils.to_categorical(photos.train_labels, classes)
validation = (photos.validation, keras.utils.to_categorical(photos.validation_labels, classes))
dense = fw.build_model("dense", classes=classes, side=side)
models, histories = {"dense": dense, "convnet": plain, "convnet-1x1": mixing}, {}
for name, model in models.items():
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    done = model.fit(
        photos.train, truth, validation_data=validation,
        batch_size=32, epochs=1 if quick else 20, verbose=0,
    )  # fmt: skip
    histories[name] = done.history
    print(f"{name:12} {model.count_params():>9,} weights, {time.perf_counter() - start:4.0f} s")

figures.show_curves(histories)

# %% [markdown]
# Compare the numbers of weights, and the validation curves. And shift the photos as in lab 0: what becomes of the answers?

# %%
for name, model in models.items():
    told = []
    for pixels in (0, 2, 4, 8):
        shifted = np.roll(photos.validation, pixels, axis=2)
        right = model.predict(shifted, verbose=0).argmax(axis=1) == photos.validation_labels
        told.append(f"{pixels} px {right.mean():.0%}")
    print(f"{name:12} right when shifted by: {', '.join(told)}")

# %% [markdown]
# A convolution does not care where a pattern is. The head still does: flattened, each of its weights belongs to one place.
# Lab 3 replaces it by the mean over all places (global average pooling).
#
# ## 8. What did they learn?
#
# The filters of the first layer, as small colour pictures. They began at random, and so short a training on so few photos
# leaves most of them hard to read:

# %%
figures.show_filters(plain.get_layer("conv1").get_weights()[0])

# %% [markdown]
# What they make of a photo is easier to see. A channel of a cube, seen as a picture, is called a **feature map**. From layer to layer the
# maps get coarser, and what they show is less and less the photo and more and more what the net makes of it.

# %%
chosen = ["conv1_1x1", "conv2_1x1", "conv3_1x1", "conv4_1x1"]
looking = keras.Model(mixing.inputs, [mixing.get_layer(name).output for name in chosen])
maps = looking.predict(photo[None], verbose=0)
figures.show_maps(photo, {name: cube[0] for name, cube in zip(chosen, maps, strict=True)})

# %% [markdown]
# And its answers:

# %%
some = np.random.default_rng(0).permutation(len(photos.validation))[:10]
answers = mixing.predict(photos.validation[some], verbose=0)
figures.show_answered(
    photos.validation[some], photos.validation_labels[some], answers, photos.classes
)

# %% [markdown]
# ## 9. A net of your own
#
# **Exercise 5.** Write a net for photos of 96 px as a line of text, with at most 20,000 parameters, in which each place of
# the last cube sees at least 60 px. Words: `conv F` (F filters of 3x3, relu and a norm of which lab 3 tells), `conv F 1`
# (1x1), `conv F 3 /2` (stride 2), `pool`, `x2` (twice), and at the end `gap`.


# %% tags=["exercise", "net_line"]
line = "..."

# %% tags=["check", "net_line"]
checks.check_net_line(line)

# %% [markdown] tags=["solution", "net_line"]
# <details><summary>Solution</summary>
#
# ```python
# line = "conv 16 | pool | conv 16 1 | conv 24 | pool | conv 24 | pool | conv 16 1 | conv 32 | pool | conv 16 1 | conv 24 | gap"
# ```
#
# There are many others. 1x1 convolutions that lessen the channels ahead of a 3x3 save most: that is what a "squeeze" is.
#
# </details>

# %% [markdown]
# Train your net with one call. `fw.train` does what you did by hand in this lab, and more: it chooses batch and learning
# rate, changes the photos a little in every epoch, averages the weights, and writes a report.

# %%
if checks.check_net_line(line) and not quick:
    run = fw.train(DATA, model=line, side=96, epochs=10, out="runs/lab-1", quiet=True)
    print(f"validation accuracy {run.history[-1]['val_accuracy']:.0%}; the report: {run.report}")

# %% [markdown]
# On real photos the task is harder than on drawn ones. What nets that start from random weights reach on the photos of
# `flowers`, measured and committed with the project (you need these photos and more time to repeat it):

# %%
for recipe in ("fast", "squeezenet"):
    figure = teaching.measured(recipe)
    print(
        f"--recipe {recipe:11} {figure['mean']:.1%} of {figure['photos']} photos, {figure['seeds']} seeds"
    )

# %% [markdown]
# ## What to try next
#
# * In section 1 give `filters` a filter of your own: what does `[[0, 1, 0], [1, -4, 1], [0, 1, 0]]` find? And a larger mean?
# * In section 7 shuffle the pixels as in lab 0. Which of the nets minds?
# * Build the first convnet without its pools (`fw.build_model("norm none | conv 24 x2 | conv 12 | conv 6 | flatten",
#   side=48)`): how many weights has its head now?
# * `fireweed models convnet-1x1 --side 192`, in a terminal, says how much of the photo each layer sees.
#
# Next: [Lab 2: feeding the machine](2_feeding.ipynb): how photos reach a TPU or GPU quickly enough.
