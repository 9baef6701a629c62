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
# # Lab 0: from pixels to probabilities
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/en/0_pixels.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/en/0_pixels.ipynb)
# [繁體中文](../zh-TW/0_pixels.ipynb)
#
# A photo goes in, "this is a daisy, 93%" comes out. In this lab you build everything that lies between, from a single
# neuron to a net that learns from photos, and then you find out where such a net stops getting better, and why.
#
# You need some Python and the idea of an array; no knowledge of neural nets. It takes about 50 minutes. Each exercise
# has a check that runs your code and says in words what is not right yet; a solution is folded away below it. Words in
# **bold** are in the [glossary](../../docs/glossary.md).
#
# How to use a notebook: click a cell and press Shift+Enter to run it. Change numbers and run the cell again: nothing
# breaks, and that is the point.

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
# The codelab that these labs follow ran TensorFlow on TPUs of their second generation. Today Keras reaches a TPU, and an
# NVIDIA GPU, through JAX; Fireweed chooses that by itself, and the code of the lab stays the same. (Lab 2 has more on these
# chips.) A laptop is enough all the same. With `quick = True` the lab uses fewer epochs, to see all of it in a minute.

# %% tags=["parameters"]
quick = False
# Flowers drawn by program; or "flowers", or a folder of your own photos with a folder for each class.
DATA = "drawn"

# %% [markdown]
# ## 1. A photo is numbers
#
# `fw.open_data` finds the photos and takes the name of each folder as the **class** of the photos in it. `load_photos`
# reads them as small squares. It keeps a quarter of them aside as **validation photos**: the net never learns from these,
# so they tell how it does on photos that it has not seen.

# %%
catalog = fw.open_data(DATA)
photos = teaching.load_photos(catalog, side=32)
classes = len(photos.classes)
print("classes:", photos.classes)
print("training photos:", photos.train.shape, "validation photos:", photos.validation.shape)

firsts = [int(np.flatnonzero(photos.train_labels == label)[0]) for label in range(classes)]
figures.show_photos(photos.train[firsts], photos.classes)

# %% [markdown]
# The shape of the training photos has four numbers: (photos, height, width, 3). Each **pixel** has three numbers from 0
# to 255, how much red, green and blue light it gives: these three are called **channels**.
#
# An array with any number of dimensions is called a **tensor**. With one dimension it is a vector, with two a matrix;
# ours has four. The first dimension nearly always counts the photos of the **batch**, the photos that are worked on
# together.

# %%
photo = photos.train[firsts[0]]
figures.show_numbers(photo, row=12, column=12)

# %% [markdown]
# The right answer for a photo is its **label**. Here it is a number, the position of its class in the list of classes.
# Learning from photos whose labels are known is called **supervised learning**, and choosing one class of several is
# **classification**.

# %%
print("label", photos.train_labels[firsts[1]], "is", photos.classes[photos.train_labels[firsts[1]]])

# %% [markdown]
# ## 2. A neuron
#
# A **neuron** is a small calculation:
#
# 1. multiply each **input** by a **weight** of its own, and add up: the **weighted sum**;
# 2. add one more number, the **bias**;
# 3. put the result through an **activation function**.
#
# The inputs come from the photo. Weights and bias belong to the neuron: they are what it learns. At first nobody knows them,
# so a net begins with random ones. A large positive weight
# says "the more of this input, the more I say yes", a negative one "the more of it, the less".

# %%
figures.show_neuron(inputs=[1, 2, 3], weights=[0.5, -1, 1], bias=0.5)

# %% [markdown]
# The usual activation function is **relu** (rectified linear unit): it lets positive numbers through and makes 0 of
# negative ones. Before it, **sigmoid** was popular, a smooth step from 0 to 1; it is still of use where one neuron has to
# say yes or no.
#
# Why have one at all? Weighted sums of weighted sums are only weighted sums: without a bend between them, ten layers could
# do no more than one.


# %%
def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


figures.show_activations({"relu": relu, "sigmoid": sigmoid})

# %% [markdown]
# **Exercise 1: write a neuron.** `inputs` and `weights` are vectors of the same length, `bias` is a number. Use relu.
# (`a @ b` multiplies two vectors element by element and adds up.)


# %% tags=["exercise", "neuron"]
def neuron(inputs, weights, bias):
    return ...


# %% tags=["check", "neuron"]
checks.check_neuron(neuron)

# %% [markdown] tags=["solution", "neuron"]
# <details><summary>Solution</summary>
#
# ```python
# def neuron(inputs, weights, bias):
#     return max(0.0, inputs @ weights + bias)
# ```
#
# </details>

# %% [markdown]
# ## 3. Layers
#
# To look at a photo, a neuron needs one vector, so its pixels are put in a row; this step is called **flatten**. A layer of
# neurons of which each is joined to all inputs is a **dense layer**. Its weights make a matrix with a column for each
# neuron, and the whole layer is one product of matrices, for all photos of a batch at once:

# %%
figures.show_batch_product(batch=8, inputs=12, neurons=5)

# %%
random = np.random.default_rng(0)
X = photos.train[:8].reshape(8, -1) / 255  # eight photos, flattened, 0..1
W = random.normal(0, 0.02, (X.shape[1], 5))  # five neurons; at the start weights are random
b = np.zeros(5)
Y = X @ W + b
print("X", X.shape, "@ W", W.shape, "=", Y.shape)

by_hand = sum(X[2, pixel] * W[pixel, 3] for pixel in range(X.shape[1])) + b[3]
print(f"photo 2, neuron 3: {Y[2, 3]:.6f}; added up one by one: {by_hand:.6f}")

# %% [markdown]
# That is why chips for neural nets are good at products of matrices, and why photos are worked on in batches: one large
# product is quicker than many small ones. See how much on your machine:

# %%
many = random.random((128, X.shape[1]), dtype=np.float32)
weights = random.random((X.shape[1], 500), dtype=np.float32)


def photos_per_second(work):
    work()  # once to warm up
    start = time.perf_counter()
    work()
    return len(many) / (time.perf_counter() - start)


singly = photos_per_second(lambda: [row @ weights for row in many])
together = photos_per_second(lambda: many @ weights)
print(f"one photo at a time: {singly:10,.0f} photos/s")
print(f"all in one product:  {together:10,.0f} photos/s")

# %% [markdown]
# Layers are stacked: the outputs of one are the inputs of the next. The simplest net for photos is this one, of dense
# layers only. The layers between input and output are called hidden.

# %%
side = photos.train.shape[1]
figures.show_layers(
    [side * side * 3, 500, 50, classes], ["pixels", "dense, relu", "dense, relu", "classes"]
)

# %% [markdown]
# **Exercise 2: how many numbers does a dense layer learn?** Count its weights and its biases.


# %% tags=["exercise", "dense_weights"]
def dense_weights(inputs, neurons):
    return ...


# %% tags=["check", "dense_weights"]
checks.check_dense_weights(dense_weights)

# %% [markdown] tags=["solution", "dense_weights"]
# <details><summary>Solution</summary>
#
# ```python
# def dense_weights(inputs, neurons):
#     return inputs * neurons + neurons
# ```
#
# </details>

# %% [markdown]
# Fireweed builds this net, and tells the same of each layer. In Keras it is a **Sequential** model: layers in a row.
# (Behind `build_model` stands `keras.Sequential([Rescaling, Flatten, Dense(500, "relu"), Dense(50, "relu"), Dense(5,
# "softmax")])`. The first layer turns 0..255 into 0..1, so that the net can be fed with photos as they are.)

# %%
from fireweed.models.cost import layer_costs

model = fw.build_model("dense", classes=classes, side=side)
for layer in layer_costs(model):
    print(f"{layer.name:10} {layer.output_shape!s:14} {layer.parameters:>10,} numbers to learn")

large = fw.build_model("dense", classes=classes, side=192)
print(f"\nfor photos of 192 px: {large.count_params():,}, nearly all of them in the first layer")
del large

# %% [markdown]
# ## 4. Softmax: from any numbers to probabilities
#
# The last layer has one neuron a class. What these give before an activation function are called **logits**: any numbers,
# the larger the more likely the class. (The word comes from the logistic function, which is the sigmoid: a logit is what
# is put into it.) We want **probabilities**: numbers from 0 to 1 that add up to 1. **Softmax** makes them:
#
# 1. take e to the power of each logit: all become positive, and the largest stands out;
# 2. divide each by the sum of them all (by the "L1 norm", as it is called), and they add up to 1.

# %%
logits = np.array([2.0, 1.0, 0.1, -1.0, 0.5])[:classes]
powers = np.exp(logits)
probabilities = powers / powers.sum()
print(f"sum: {probabilities.sum():.6f}")
figures.show_softmax(logits, probabilities, photos.classes[: len(logits)])

# %% [markdown]
# Change `logits` and run it again. What happens when you add 10 to all of them? When you multiply them all by 3?
#
# **Exercise 3: softmax of a batch.** `logits` has a row for each photo; give back a row of probabilities for each. Make it
# work for very large logits as well: what does `np.exp(1000)` give? (The answer to the first question above helps.)


# %% tags=["exercise", "softmax"]
def softmax(logits):
    return ...


# %% tags=["check", "softmax"]
checks.check_softmax(softmax)

# %% [markdown] tags=["solution", "softmax"]
# <details><summary>Solution</summary>
#
# ```python
# def softmax(logits):
#     powers = np.exp(logits - logits.max(axis=1, keepdims=True))
#     return powers / powers.sum(axis=1, keepdims=True)
# ```
#
# The same number taken away from all logits of a row changes nothing: it divides all powers alike.
#
# </details>

# %% [markdown]
# ## 5. How wrong is an answer? Cross-entropy
#
# To get better, a net needs a number for how wrong it is: the **loss**. First the right answer is written as the
# probabilities that a perfect net would give: 1 for the right class, 0 for all others. This is **one-hot** encoding: class
# 3 of 5, counted from 1, is `[0, 0, 1, 0, 0]`.

# %%
print("labels ", photos.train_labels[firsts])
print("one-hot\n", np.eye(classes)[photos.train_labels[firsts]])

# %% [markdown]
# Any distance between the two rows of numbers could serve. For classes, **cross-entropy** works best: minus the sum of
# (right probability × logarithm of the answered one). Since one-hot is 0 but for the right class, only that class counts:
# the loss of a photo is minus the logarithm of the probability that its right class was given.
#
# Sure and right costs nearly nothing, unsure a little, sure and wrong very much:

# %%
probability = 0.3
figures.show_loss(probability)

# %% [markdown]
# A net that knows nothing gives all classes the same probability. What does it lose?

# %%
print(f"loss of pure guessing among {classes} classes: {-np.log(1 / classes):.3f}")

# %% [markdown]
# **Exercise 4: the cross-entropy of a batch**: the mean of the losses of its photos. Both arrays have a row a photo.


# %% tags=["exercise", "cross_entropy"]
def cross_entropy(probabilities, one_hot):
    return ...


# %% tags=["check", "cross_entropy"]
checks.check_cross_entropy(cross_entropy)

# %% [markdown] tags=["solution", "cross_entropy"]
# <details><summary>Solution</summary>
#
# ```python
# def cross_entropy(probabilities, one_hot):
#     return -(one_hot * np.log(probabilities)).sum(axis=1).mean()
# ```
#
# </details>

# %% [markdown]
# ## 6. Learning: downhill, step by step
#
# The loss depends on the weights and biases: change one a little, and the loss changes a little. How much, for each weight,
# is a partial derivative; all of them together are the **gradient**. It points uphill, the way the loss grows fastest. We
# want the loss to fall, so we take a small step the other way, and again, and again. This is **gradient descent**:
#
# > new weights = weights − learning rate × gradient
#
# The **learning rate** says what fraction of the gradient a step takes. A net has millions of weights, and nobody can see
# in a million dimensions; with two we can. Here is a landscape that has something nets have many of: a **saddle point**. It
# is level there, gradient zero, but it is no valley: downhill to the north and to the south, uphill to the west and east.


# %%
def height(x, y):
    return 0.5 * x**2 - 0.5 * y**2 + 0.1 * y**4


def gradient(x, y):
    return np.array([x, -y + 0.4 * y**3])  # how the height grows with x, and with y


def descend(start, learning_rate, steps):
    position = np.array(start)
    path = [position]
    for _ in range(steps):
        position = position - learning_rate * gradient(*position)
        path.append(position)
    return np.array(path)


start = [-2.0, 0.001]
paths = {f"learning rate {rate}": descend(start, rate, steps=120) for rate in (0.03, 0.1, 0.3)}
places = {"saddle": (0.0, 0.0), "valley": (0.0, -(2.5**0.5)), "valley ": (0.0, 2.5**0.5)}
figures.show_descent(height, paths, (-2.2, 2.2), (-2.2, 2.2), places)

# %% [markdown]
# Look at the right-hand picture: the paths fall, then they stay at the height of the saddle as if they had arrived. Only
# after many steps do they find the way down into the valley; the smallest rate does not get there at all. Now change the
# rates: what does a learning rate of 1.9 do?
#
# Is a zero gradient a sign of having arrived? With millions of weights, for a true valley each of them would have to be at
# its lowest at once. That is unlikely: saddles are far more common. And where the loss falls no further, which is called
# **convergence**, nothing says that this valley is the only one, or the deepest: here are two of them.
#
# The help is **momentum**: like a ball that rolls, the step keeps part of the step before it. It has a velocity:
#
# > new velocity = momentum × velocity − learning rate × gradient
# >
# > new position = position + new velocity
#
# **Exercise 5: one step with momentum.** All are vectors or numbers of numpy. Give back both: the new position and the new
# velocity.


# %% tags=["exercise", "momentum"]
def step(position, velocity, gradient, learning_rate, momentum):
    return ...


# %% tags=["check", "momentum"]
checks.check_momentum(step)

# %% [markdown] tags=["solution", "momentum"]
# <details><summary>Solution</summary>
#
# ```python
# def step(position, velocity, gradient, learning_rate, momentum):
#     velocity = momentum * velocity - learning_rate * gradient
#     return position + velocity, velocity
# ```
#
# </details>

# %% [markdown]
# Keras has this step ready as an **optimizer** called SGD (stochastic gradient descent: you see why it is called so below).
# Let it walk, with and without momentum:

# %%
import keras


def walk(start, optimizer, steps):
    position = keras.Variable(np.array(start, np.float32))
    path = [start]
    for _ in range(steps):
        here = keras.ops.convert_to_numpy(position)
        optimizer.apply([keras.ops.convert_to_tensor(gradient(*here), "float32")], [position])
        path.append(keras.ops.convert_to_numpy(position).tolist())
    return np.array(path)


steps = 30 if quick else 60
paths = {
    "without": walk(start, keras.optimizers.SGD(learning_rate=0.05), steps),
    "momentum 0.9": walk(start, keras.optimizers.SGD(learning_rate=0.05, momentum=0.9), steps),
}
figures.show_descent(height, paths, (-2.2, 2.2), (-2.2, 2.2), places)

# %% [markdown]
# With momentum the path overshoots and swings, but it leaves the saddle long before the other. Set `start` to `[-2.0, 0.0]`
# in the cell further up, and run both again: exactly on the ridge nothing pushes north or south, and momentum alone does
# not help either. What does help is a little disorder, and learning from photos has plenty of that:
#
# ## 7. One photo at a time, or a mini-batch
#
# The gradient can be computed from one photo, from all of them, or from something between: a **mini-batch** of some dozens,
# drawn at random, often just called a batch. (Descent by random batches is what "stochastic" in SGD means.) To see the
# difference we need a problem with two weights. So we make two numbers of each photo ourselves, and let one neuron with
# sigmoid say which of two classes it is. What a net is given is sometimes called its **features**, and finding out which
# numbers, made of the raw data, serve best is **feature engineering**. Deep nets have spared us most of that: they find features by themselves.

# %%
two = photos.train_labels < 2
# Mean red, green and blue of the middle of each photo.
middle = photos.train[two][:, 8:24, 8:24].mean(axis=(1, 2))
features = np.stack([middle.mean(axis=1), middle[:, 0] - middle[:, 2]], axis=1)
features = (features - features.mean(axis=0)) / features.std(axis=0)
is_first = photos.train_labels[two] == 0
figures.show_features(
    features, is_first, photos.classes[:2], ("brightness of the middle", "red minus blue")
)

# %% [markdown]
# The loss as a function of the two weights, and its gradient. For sigmoid with cross-entropy (and for softmax as well) the
# gradient is beautifully simple: (answer − truth) × input, averaged over the batch. In larger nets the framework
# (TensorFlow, JAX) works out the gradient of all layers by itself, from the last back to the first: **backpropagation**.


# %%
def loss(first_weight, second_weight):
    sums = np.multiply.outer(first_weight, features[:, 0]) + np.multiply.outer(
        second_weight, features[:, 1]
    )
    return -np.log(sigmoid(np.where(is_first, sums, -sums))).mean(axis=-1)


def batch_gradient(weights, batch):
    answers = sigmoid(features[batch] @ weights)
    return (answers - is_first[batch]) @ features[batch] / len(batch)


def learn(batch_size, steps, learning_rate=0.4):
    shuffled = np.random.default_rng(1)
    weights = np.array([2.0, 2.0])
    path = [weights]
    for _ in range(steps):
        batch = shuffled.choice(len(features), batch_size, replace=False)
        weights = weights - learning_rate * batch_gradient(weights, batch)
        path.append(weights)
    return np.array(path)


everything = len(features)
paths = {
    "1 photo a step": learn(1, steps=100),
    "16 photos": learn(16, steps=100),
    f"all {everything}": learn(everything, steps=100),
}
reach = np.abs(np.concatenate(list(paths.values()))).max() * 1.1
figures.show_paths(loss, paths, (-reach, reach), (-reach, reach))

# %% [markdown]
# One photo at a time staggers: what is right for one is wrong for the next. All of them walk straight, but each step looks
# at every photo. A mini-batch is nearly as straight at a fraction of the work. How well does the gradient of a batch agree
# with that of all photos? 1 is the same direction, 0 is no relation:

# %%
weights = np.array([0.5, 0.5])
whole = batch_gradient(weights, np.arange(everything))
for batch_size in (1, 4, 16, 64):
    agreements = []
    for _ in range(200):
        one = batch_gradient(
            weights, random.choice(everything, min(batch_size, everything), replace=False)
        )
        agreements.append(one @ whole / np.linalg.norm(one) / np.linalg.norm(whole))
    print(f"batch of {batch_size:3}: agreement {np.mean(agreements):.2f}")

# %% [markdown]
# And as you measured in section 3, a batch is one large product of matrices, which machines do more quickly than many small
# ones. So the batch size is something to choose: Fireweed proposes one that suits, and `--set training.batch=64` changes it.
#
# ## 8. The dense net learns from photos
#
# All pieces are there. `compile` is Keras's word for setting up a training: which optimizer, which loss, what to watch.
# **Adam** is an optimizer with momentum that also fits the size of the steps to each weight. **Accuracy** is the share of
# right answers; it is what we care about, but only the loss has a gradient. An **epoch** is one pass over all training
# photos.

# %%
truth = keras.utils.to_categorical(photos.train_labels, classes)
validation_truth = keras.utils.to_categorical(photos.validation_labels, classes)


def train_dense(train, validation):
    model = fw.build_model("dense", classes=classes, side=side)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    done = model.fit(
        train, truth, validation_data=(validation, validation_truth),
        batch_size=32, epochs=2 if quick else 40, verbose=0,
    )  # fmt: skip
    return model, done.history


start_time = time.perf_counter()
model, history = train_dense(photos.train, photos.validation)
print(f"{len(history['loss'])} epochs in {time.perf_counter() - start_time:.0f} s")
figures.show_curves({"dense net": history})

# %% [markdown]
# The two curves part. On the photos that it learned from the net gets better and better; on the validation photos it stays
# where it is: it *stalls*. It begins to know its training photos by heart, which is called **overfitting**. Look at its
# answers on validation photos:

# %%
some = random.permutation(len(photos.validation))[:10]
answers = model.predict(photos.validation, verbose=0)
print(f"right: {(answers.argmax(axis=1) == photos.validation_labels).mean():.0%} of {len(answers)}")
figures.show_answered(
    photos.validation[some], photos.validation_labels[some], answers[some], photos.classes
)

# %% [markdown]
# ## 9. Why it stalls
#
# **Too many weights for so few photos.** With that much freedom, it is easier to remember than to understand:

# %%
learned, given = model.count_params(), len(photos.train)
print(f"{learned:,} numbers to learn from {given} photos: {learned / given:,.0f} for each")

# %% [markdown]
# **Every weight belongs to one place.** A petal two pixels further right meets other weights, which must learn petals anew.
# Here are the weights of ten neurons of the first layer, laid out as the photo they look at. Can you see a flower?

# %%
kernel = model.get_layer("dense1").get_weights()[0].reshape(side, side, 3, 500).mean(axis=2)
strongest = np.argsort(-np.abs(model.get_layer("dense2").get_weights()[0]).sum(axis=1))[:10]
figures.show_weights(
    kernel[..., strongest].transpose(2, 0, 1), [f"neuron {number}" for number in strongest]
)

# %% [markdown]
# Shift the validation photos to the side, a few pixels only: to you they are the same flowers.

# %%
for pixels in (0, 1, 2, 4, 8):
    shifted = np.roll(photos.validation, pixels, axis=2)
    right = model.predict(shifted, verbose=0).argmax(axis=1) == photos.validation_labels
    print(f"shifted by {pixels} px: {right.mean():.0%} right")

# %% [markdown]
# **It does not know which pixels are neighbours.** The strongest proof: shuffle the pixels, all photos in the same way. You
# recognize nothing any more. The dense net does not mind: for it the order of the inputs never meant anything.

# %%
order = random.permutation(side * side)


def shuffled_pixels(some_photos):
    return some_photos.reshape(-1, side * side, 3)[:, order].reshape(some_photos.shape)


_, shuffled_history = train_dense(shuffled_pixels(photos.train), shuffled_pixels(photos.validation))
ends = {
    name: np.mean(one["val_accuracy"][-5:])
    for name, one in {"as they are": history, "shuffled": shuffled_history}.items()
}
for name, end in ends.items():
    print(f"pixels {name}: validation accuracy {end:.0%}, the mean of the last epochs")
figures.show_photos(shuffled_pixels(photos.train[firsts]), photos.classes)

# %% [markdown]
# All that makes a photo a photo, that near pixels belong together and that a flower is a flower wherever it stands, is lost
# on this net. Lab 1 builds nets that know it: *convolutional* ones.
#
# ## What to try next
#
# * In section 8 replace `"adam"` by `keras.optimizers.SGD(0.01)`, then by `keras.optimizers.SGD(0.01, momentum=0.9)`. Which
#   one learns most in the same number of epochs?
# * Make the loss of guessing visible: what is the loss after the first epoch, and after none (`model.evaluate` before `fit`)?
# * Give the net larger photos (`side=64` in section 1). Is it better?
# * The whole training with report, from a terminal: `fireweed train --data drawn --model dense --side 32`.
# * In section 6 try `keras.optimizers.Adam(0.1)` as a third path.
#
# Next: [Lab 1: convolutions](1_convolutions.ipynb)
