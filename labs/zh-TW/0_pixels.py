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
# # 第 0 課：從像素到機率
#
# [![在 Colab 開啟](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/0_pixels.ipynb)
# [![在 Kaggle 開啟](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/0_pixels.ipynb)
# [English](../en/0_pixels.ipynb)
#
# 放進一張相片，得到「這是雛菊，93%」。這一課要親手做出中間的每一步：從一個神經元開始，做到能從相片學習的網路，最後找出這種網路
# 為什麼學到一半就停住了。
#
# 你需要會一點 Python、知道什麼是陣列；不需要懂類神經網路。大約 50 分鐘。每個練習都有檢查：它會執行你的程式，並用文字告訴你哪裡還
# 不對；練習下方收著一份參考解答。**粗體字**都收錄在[詞彙表](../../docs/glossary.md)。
#
# 筆記本的用法：點一下儲存格，按 Shift+Enter 執行。儘管改數字再執行一次，不會弄壞任何東西，這正是筆記本的用處。

# %% tags=["setup"]
# 尚未安裝時才安裝 Fireweed（例如在 Colab 或 Kaggle）；已有的 TensorFlow 會保留。
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

teaching.begin("zh-TW")  # 選擇 TPU、GPU 或 CPU，並說明用了哪一個

# %% [markdown]
# 這套課程所依循的程式碼研究室，當時在第二代 TPU 上使用 TensorFlow。如今 Keras 透過 JAX 使用 TPU 和 NVIDIA GPU；Fireweed 會自行選擇，
# 課程的程式碼完全不用改（第 2 課會再談這些晶片）。其實筆記型電腦就夠用了。設 `quick = True` 會減少訓練週期，一分鐘內可以看完全部。

# %% tags=["parameters"]
quick = False
# 由程式繪製的花；也可以是 "flowers"，或你自己的相片資料夾（每個類別一個資料夾）。
DATA = "drawn"

# %% [markdown]
# ## 1. 相片就是數字
#
# `fw.open_data` 會找出相片，並以資料夾名稱作為其中相片的**類別**。`load_photos` 把相片讀成小正方形，並把其中四分之一留作
# **驗證相片**：網路從不拿它們來學習，所以能看出網路面對沒看過的相片時表現如何。

# %%
catalog = fw.open_data(DATA)
photos = teaching.load_photos(catalog, side=32)
classes = len(photos.classes)
print("類別：", photos.classes)
print("訓練相片：", photos.train.shape, "驗證相片：", photos.validation.shape)

firsts = [int(np.flatnonzero(photos.train_labels == label)[0]) for label in range(classes)]
figures.show_photos(photos.train[firsts], photos.classes)

# %% [markdown]
# 訓練相片的形狀有四個數字：(相片數, 高, 寬, 3)。每個**像素**有三個 0 到 255 的數字，分別表示紅、綠、藍光有多強，這三者稱為**通道**。
#
# 維度數量不限的陣列稱為**張量**：一維的張量是向量，二維的是矩陣，這裡的是四維。第一個維度幾乎都是**批次**裡的相片數，也就是一起處理的相片。

# %%
photo = photos.train[firsts[0]]
figures.show_numbers(photo, row=12, column=12)

# %% [markdown]
# 相片的正確答案稱為**標籤**。這裡的標籤是一個數字，也就是類別在清單中的位置。從已知標籤的相片學習，稱為**監督式學習**；從幾個類別中
# 選出一個，就是**分類**。

# %%
print("標籤", photos.train_labels[firsts[1]], "是", photos.classes[photos.train_labels[firsts[1]]])

# %% [markdown]
# ## 2. 神經元
#
# **神經元**是一個小小的計算：
#
# 1. 每個**輸入**各乘上一個**權重**，再全部相加，得到**加權總和**；
# 2. 再加上一個數字，稱為**偏差**；
# 3. 結果通過一個**啟動函式**。
#
# 輸入來自相片；權重和偏差屬於神經元，是它要學的東西。一開始沒有人知道它們該是多少，所以網路從隨機的值開始。
# 很大的正權重表示「這個輸入越強，我越贊成」；負權重則是「越強，我越反對」。

# %%
figures.show_neuron(inputs=[1, 2, 3], weights=[0.5, -1, 1], bias=0.5)

# %% [markdown]
# 最常用的啟動函式是 **relu**（線性整流函數）：正數照原樣通過，負數變成 0。以前流行的是 **sigmoid**（S 函數），它是由 0 平滑升到 1 的
# 曲線；現在需要單一神經元回答「是或不是」時仍然有用。
#
# 為什麼要有啟動函式？加權總和的加權總和，還是加權總和：中間若沒有轉折，疊十層和只有一層沒有兩樣。


# %%
def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


figures.show_activations({"relu": relu, "sigmoid": sigmoid})

# %% [markdown]
# **練習 1：寫一個神經元。** `inputs` 和 `weights` 是等長的向量，`bias` 是一個數字。請使用 relu。
# （`a @ b` 會把兩個向量逐項相乘再加總。）


# %% tags=["exercise", "neuron"]
def neuron(inputs, weights, bias):
    return ...


# %% tags=["check", "neuron"]
checks.check_neuron(neuron)

# %% [markdown] tags=["solution", "neuron"]
# <details><summary>參考解答</summary>
#
# ```python
# def neuron(inputs, weights, bias):
#     return max(0.0, inputs @ weights + bias)
# ```
#
# </details>

# %% [markdown]
# ## 3. 層
#
# 神經元看相片時需要一個向量，所以要先把像素排成一列，稱為**壓平**。一層神經元若每個都連到所有輸入，就稱為**密集層**。它的權重構成一個
# 矩陣，每個神經元一欄；整層的計算就是一次矩陣乘法，而且一個批次的所有相片一次算完：

# %%
figures.show_batch_product(batch=8, inputs=12, neurons=5)

# %%
random = np.random.default_rng(0)
X = photos.train[:8].reshape(8, -1) / 255  # 八張相片，壓平，數值 0..1
W = random.normal(0, 0.02, (X.shape[1], 5))  # 五個神經元；一開始權重是隨機的
b = np.zeros(5)
Y = X @ W + b
print("X", X.shape, "@ W", W.shape, "=", Y.shape)

by_hand = sum(X[2, pixel] * W[pixel, 3] for pixel in range(X.shape[1])) + b[3]
print(f"相片 2、神經元 3：{Y[2, 3]:.6f}；逐項相加：{by_hand:.6f}")

# %% [markdown]
# 這就是為什麼類神經網路的晶片擅長矩陣乘法，也是相片要分批處理的原因：一個大乘法比許多小乘法快。看看在你的機器上快多少：

# %%
many = random.random((128, X.shape[1]), dtype=np.float32)
weights = random.random((X.shape[1], 500), dtype=np.float32)


def photos_per_second(work):
    work()  # 先暖身一次
    start = time.perf_counter()
    work()
    return len(many) / (time.perf_counter() - start)


singly = photos_per_second(lambda: [row @ weights for row in many])
together = photos_per_second(lambda: many @ weights)
print(f"一次一張：{singly:10,.0f} 張/秒")
print(f"一次全部：{together:10,.0f} 張/秒")

# %% [markdown]
# 層可以疊起來：前一層的輸出就是下一層的輸入。處理相片最簡單的網路，就是下面這種只有密集層的網路。輸入與輸出之間的層稱為隱藏層。

# %%
side = photos.train.shape[1]
figures.show_layers(
    [side * side * 3, 500, 50, classes], ["像素", "密集層 relu", "密集層 relu", "類別"]
)

# %% [markdown]
# **練習 2：一個密集層要學多少個數字？** 權重和偏差都要算。


# %% tags=["exercise", "dense_weights"]
def dense_weights(inputs, neurons):
    return ...


# %% tags=["check", "dense_weights"]
checks.check_dense_weights(dense_weights)

# %% [markdown] tags=["solution", "dense_weights"]
# <details><summary>參考解答</summary>
#
# ```python
# def dense_weights(inputs, neurons):
#     return inputs * neurons + neurons
# ```
#
# </details>

# %% [markdown]
# Fireweed 可以建出這個網路，並列出每一層的數量。在 Keras 中，這是一個 **Sequential**（循序）模型：層一個接一個。
# （`build_model` 背後就是 `keras.Sequential([Rescaling, Flatten, Dense(500, "relu"), Dense(50, "relu"), Dense(5, "softmax")])`。
# 第一層把 0..255 換成 0..1，所以相片可以直接放進網路。）

# %%
from fireweed.models.cost import layer_costs

model = fw.build_model("dense", classes=classes, side=side)
for layer in layer_costs(model):
    print(f"{layer.name:10} {layer.output_shape!s:14} {layer.parameters:>10,} 個要學的數字")

large = fw.build_model("dense", classes=classes, side=192)
print(f"\n相片若為 192 px：{large.count_params():,} 個，幾乎全在第一層")
del large

# %% [markdown]
# ## 4. softmax：把任意數字變成機率
#
# 最後一層的神經元數量等於類別數。它們在啟動函式之前的輸出稱為 **logits**：可以是任何數字，越大表示越可能是該類別。（這個詞來自
# logistic function，也就是 sigmoid：放進它裡面的數就叫 logit。）我們想要的是**機率**：介於 0 和 1 之間、總和為 1 的數字。**softmax**
# 的做法是：
#
# 1. 以 e 為底，取每個 logit 的次方：全部變成正數，而且最大的那個更加突出；
# 2. 各自除以總和（也就是用「L1 範數」標準化），加起來就是 1。

# %%
logits = np.array([2.0, 1.0, 0.1, -1.0, 0.5])[:classes]
powers = np.exp(logits)
probabilities = powers / powers.sum()
print(f"總和：{probabilities.sum():.6f}")
figures.show_softmax(logits, probabilities, photos.classes[: len(logits)])

# %% [markdown]
# 改改 `logits` 再執行一次。全部加 10 會怎樣？全部乘以 3 呢？
#
# **練習 3：一個批次的 softmax。** `logits` 每張相片一列，請傳回每張相片一列的機率。logits 很大時也要能算：`np.exp(1000)` 是多少？
# （上面第一個問題的答案會有幫助。）


# %% tags=["exercise", "softmax"]
def softmax(logits):
    return ...


# %% tags=["check", "softmax"]
checks.check_softmax(softmax)

# %% [markdown] tags=["solution", "softmax"]
# <details><summary>參考解答</summary>
#
# ```python
# def softmax(logits):
#     powers = np.exp(logits - logits.max(axis=1, keepdims=True))
#     return powers / powers.sum(axis=1, keepdims=True)
# ```
#
# 同一列的 logits 都減去同一個數，結果不變：等於所有次方都除以同一個數。
#
# </details>

# %% [markdown]
# ## 5. 答案錯得多離譜？交叉熵
#
# 要進步，網路需要一個數字來表示自己錯了多少，這就是**損失**。首先把正確答案寫成完美的網路會給的機率：正確類別是 1，其他都是 0。這稱為
# **one-hot 編碼**：五個類別中的第三類是 `[0, 0, 1, 0, 0]`。

# %%
print("標籤 ", photos.train_labels[firsts])
print("one-hot\n", np.eye(classes)[photos.train_labels[firsts]])

# %% [markdown]
# 兩列數字之間的任何距離都能用。但就分類而言，**交叉熵**最有效：把（正確的機率 × 網路所給機率的對數）加總，再取負號。one-hot 除了正確類別
# 之外都是 0，所以真正算到的只有那一個：一張相片的損失，就是網路給正確類別的機率，取對數再加負號。
#
# 很有把握而且答對，幾乎沒有損失；沒把握，損失一些；很有把握卻答錯，損失就很大：

# %%
probability = 0.3
figures.show_loss(probability)

# %% [markdown]
# 什麼都不懂的網路，給所有類別相同的機率。它的損失是多少？

# %%
print(f"{classes} 個類別純粹瞎猜的損失：{-np.log(1 / classes):.3f}")

# %% [markdown]
# **練習 4：一個批次的交叉熵**，也就是各張相片損失的平均。兩個陣列都是每張相片一列。


# %% tags=["exercise", "cross_entropy"]
def cross_entropy(probabilities, one_hot):
    return ...


# %% tags=["check", "cross_entropy"]
checks.check_cross_entropy(cross_entropy)

# %% [markdown] tags=["solution", "cross_entropy"]
# <details><summary>參考解答</summary>
#
# ```python
# def cross_entropy(probabilities, one_hot):
#     return -(one_hot * np.log(probabilities)).sum(axis=1).mean()
# ```
#
# </details>

# %% [markdown]
# ## 6. 學習：一步一步往下走
#
# 損失由權重和偏差決定：稍微改動其中一個，損失也會稍微改變。對每個權重來說改變多少，就是偏導數；所有偏導數合起來稱為**梯度**。梯度指向
# 上坡，也就是損失增加最快的方向。我們希望損失下降，所以往反方向走一小步，然後再一步、再一步。這就是**梯度下降**：
#
# > 新的權重 = 權重 − 學習率 × 梯度
#
# **學習率**決定一步走梯度的多少。網路有數百萬個權重，沒有人能看見百萬維的空間；但兩個權重就看得見。下面這個地形有一個網路裡很常見的
# 東西：**鞍點**。那裡是平的，梯度為零，但不是谷底：往南北是下坡，往東西是上坡。


# %%
def height(x, y):
    return 0.5 * x**2 - 0.5 * y**2 + 0.1 * y**4


def gradient(x, y):
    return np.array([x, -y + 0.4 * y**3])  # x 增加、y 增加時，高度各增加多少


def descend(start, learning_rate, steps):
    position = np.array(start)
    path = [position]
    for _ in range(steps):
        position = position - learning_rate * gradient(*position)
        path.append(position)
    return np.array(path)


start = [-2.0, 0.001]
paths = {f"學習率 {rate}": descend(start, rate, steps=120) for rate in (0.03, 0.1, 0.3)}
places = {"鞍點": (0.0, 0.0), "谷底": (0.0, -(2.5**0.5)), "谷底 ": (0.0, 2.5**0.5)}
figures.show_descent(height, paths, (-2.2, 2.2), (-2.2, 2.2), places)

# %% [markdown]
# 看右圖：高度先下降，然後停在鞍點的高度，好像已經到了。要走很多步之後才找到下去山谷的路；學習率最小的那條根本沒走到。現在改改學習率：
# 學習率 1.9 會怎樣？
#
# 梯度為零就表示到了嗎？若有數百萬個權重，真正的谷底必須每一個權重都同時在最低點，機率微乎其微；鞍點則常見得多。損失不再下降，稱為**收斂**；但沒有人保證
# 這是唯一的山谷，或是最深的：這個地形就有兩個。
#
# 解決的辦法是**動量**：像滾動的球一樣，每一步都保留上一步的一部分。它有速度：
#
# > 新的速度 = 動量 × 速度 − 學習率 × 梯度
# >
# > 新的位置 = 位置 + 新的速度
#
# **練習 5：有動量的一步。** 參數都是 numpy 的向量或數字。請同時傳回新的位置和新的速度。


# %% tags=["exercise", "momentum"]
def step(position, velocity, gradient, learning_rate, momentum):
    return ...


# %% tags=["check", "momentum"]
checks.check_momentum(step)

# %% [markdown] tags=["solution", "momentum"]
# <details><summary>參考解答</summary>
#
# ```python
# def step(position, velocity, gradient, learning_rate, momentum):
#     velocity = momentum * velocity - learning_rate * gradient
#     return position + velocity, velocity
# ```
#
# </details>

# %% [markdown]
# Keras 已備有這樣的一步，是名為 SGD 的**最佳化工具**（stochastic gradient descent，隨機梯度下降；為什麼叫「隨機」，下面就會看到）。
# 讓它走走看，比較有動量和沒有動量：

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
    "沒有動量": walk(start, keras.optimizers.SGD(learning_rate=0.05), steps),
    "動量 0.9": walk(start, keras.optimizers.SGD(learning_rate=0.05, momentum=0.9), steps),
}
figures.show_descent(height, paths, (-2.2, 2.2), (-2.2, 2.2), places)

# %% [markdown]
# 有動量的路徑會衝過頭、來回擺盪，但離開鞍點比另一條早得多。把前面那個儲存格的 `start` 改成 `[-2.0, 0.0]`，再執行這兩格：正好走在山脊上
# 時，沒有任何東西把它推向南或北，光靠動量也沒有用。真正有用的是一點點混亂，而從相片學習時，混亂多的是：
#
# ## 7. 一次一張，還是小批次
#
# 梯度可以用一張相片算，可以用全部相片算，也可以用介於兩者之間的**小批次**：隨機抽出的幾十張，通常就簡稱批次。（SGD 的「隨機」指的就是
# 用隨機批次下降。）為了看出差別，我們需要只有兩個權重的問題，所以我們自己從每張相片算出兩個數字，讓一個用 sigmoid 的神經元判斷它是兩個
# 類別中的哪一個。交給網路的輸入有時稱為**特徵**；找出原始資料的哪些部分、
# 該怎樣組合才有用，就是**特徵工程**。深層網路替我們省下了大部分的這種功夫：它會自己
# 找出特徵。

# %%
two = photos.train_labels < 2
# 每張相片中央的平均紅、綠、藍
middle = photos.train[two][:, 8:24, 8:24].mean(axis=(1, 2))
features = np.stack([middle.mean(axis=1), middle[:, 0] - middle[:, 2]], axis=1)
features = (features - features.mean(axis=0)) / features.std(axis=0)
is_first = photos.train_labels[two] == 0
figures.show_features(features, is_first, photos.classes[:2], ("中央的亮度", "紅減藍"))

# %% [markdown]
# 接著是損失（兩個權重的函數）和它的梯度。sigmoid 搭配交叉熵時（softmax 也一樣），梯度簡潔漂亮：（答案 − 真值）× 輸入，再對批次取平均。
# 在更大的網路裡，框架（TensorFlow、JAX）會自動從最後一層往回算到第一層，求出所有層的梯度，稱為**反向傳播**。


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
    "每步 1 張": learn(1, steps=100),
    "16 張": learn(16, steps=100),
    f"全部 {everything} 張": learn(everything, steps=100),
}
reach = np.abs(np.concatenate(list(paths.values()))).max() * 1.1
figures.show_paths(loss, paths, (-reach, reach), (-reach, reach))

# %% [markdown]
# 一次一張走得搖搖晃晃：對這張有利的，對下一張可能有害。用全部相片走得筆直，但每一步都要看過每張相片。小批次幾乎一樣直，工作量卻只有一小
# 部分。批次的梯度和全部相片的梯度有多一致？1 表示方向相同，0 表示毫無關係：

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
    print(f"批次 {batch_size:3} 張：一致程度 {np.mean(agreements):.2f}")

# %% [markdown]
# 而且如第 3 節所測，一個批次就是一個大的矩陣乘法，機器做起來比許多小乘法快。所以批次大小是可以選擇的：Fireweed 會建議合適的值，也可以用
# `--set training.batch=64` 更改。
#
# ## 8. 密集網路從相片學習
#
# 零件都齊了。Keras 用 `compile`（編譯）來設定訓練：用哪個最佳化工具、哪種損失、要觀察什麼。**Adam** 是有動量、並會為每個權重調整步伐大小
# 的最佳化工具。**準確率**是答對的比例；我們在意的是它，但只有損失有梯度可用。把所有訓練相片看過一遍，稱為一個**週期**（epoch）。

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
print(f"{len(history['loss'])} 個週期，共 {time.perf_counter() - start_time:.0f} 秒")
figures.show_curves({"密集網路": history})

# %% [markdown]
# 兩條曲線分開了。對學過的相片，網路越來越好；對驗證相片卻原地踏步，停滯了。它開始把訓練相片背下來，這稱為**過度擬合**（overfitting）。
# 看看它對驗證相片的答案：

# %%
some = random.permutation(len(photos.validation))[:10]
answers = model.predict(photos.validation, verbose=0)
print(
    f"答對：{(answers.argmax(axis=1) == photos.validation_labels).mean():.0%}，共 {len(answers)} 張"
)
figures.show_answered(
    photos.validation[some], photos.validation_labels[some], answers[some], photos.classes
)

# %% [markdown]
# ## 9. 為什麼會停滯
#
# **權重太多，相片太少。** 自由度這麼大，死背比理解容易：

# %%
learned, given = model.count_params(), len(photos.train)
print(f"{given} 張相片要學 {learned:,} 個數字：每張 {learned / given:,.0f} 個")

# %% [markdown]
# **每個權重只屬於一個位置。** 花瓣往右移兩個像素，遇到的就是另外一批權重，一切得重新學起。下面是第一層中十個神經元的權重，照它們所看的相片
# 排列。看得出花的樣子嗎？

# %%
kernel = model.get_layer("dense1").get_weights()[0].reshape(side, side, 3, 500).mean(axis=2)
strongest = np.argsort(-np.abs(model.get_layer("dense2").get_weights()[0]).sum(axis=1))[:10]
figures.show_weights(
    kernel[..., strongest].transpose(2, 0, 1), [f"神經元 {number}" for number in strongest]
)

# %% [markdown]
# 把驗證相片往旁邊移幾個像素就好。對你來說，還是同樣的花：

# %%
for pixels in (0, 1, 2, 4, 8):
    shifted = np.roll(photos.validation, pixels, axis=2)
    right = model.predict(shifted, verbose=0).argmax(axis=1) == photos.validation_labels
    print(f"移動 {pixels} px：答對 {right.mean():.0%}")

# %% [markdown]
# **它不知道哪些像素是鄰居。** 最有力的證據：把像素打亂，所有相片都用同一種打亂方式。你什麼都認不出來了，密集網路卻不在乎：對它來說，輸入的
# 順序從來就沒有意義。

# %%
order = random.permutation(side * side)


def shuffled_pixels(some_photos):
    return some_photos.reshape(-1, side * side, 3)[:, order].reshape(some_photos.shape)


_, shuffled_history = train_dense(shuffled_pixels(photos.train), shuffled_pixels(photos.validation))
ends = {
    name: np.mean(one["val_accuracy"][-5:])
    for name, one in {"原樣": history, "打亂": shuffled_history}.items()
}
for name, end in ends.items():
    print(f"像素{name}：驗證準確率 {end:.0%}（最後幾個週期的平均）")
figures.show_photos(shuffled_pixels(photos.train[firsts]), photos.classes)

# %% [markdown]
# 相片之所以是相片，是因為相近的像素屬於一體，而且花在哪裡都是花；這些對密集網路全都沒有用。第 1 課會建出懂得這些的網路：**卷積**網路。
#
# ## 接下來試試
#
# * 在第 8 節把 `"adam"` 換成 `keras.optimizers.SGD(0.01)`，再換成 `keras.optimizers.SGD(0.01, momentum=0.9)`。同樣的週期數，哪個學得最多？
# * 親眼看看瞎猜的損失：第一個週期後的損失是多少？完全沒訓練時呢（在 `fit` 之前呼叫 `model.evaluate`）？
# * 給網路大一點的相片（第 1 節用 `side=64`）。有比較好嗎？
# * 在終端機做完整訓練並產生報告：`fireweed train --data drawn --model dense --side 32`。
# * 第 6 節加上第三條路徑：`keras.optimizers.Adam(0.1)`。
#
# 下一課：[第 1 課：卷積](1_convolutions.ipynb)
