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
# # 第 4 課：微調 Xception
#
# [![在 Colab 開啟](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/4_xception.ipynb)
# [![在 Kaggle 開啟](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/4_xception.ipynb)
# [English](../en/4_xception.ipynb)
#
# [第 3 課](3_squeezenet.ipynb)的網路由隨機權重開始，只看過你的相片。現在改從一個已經學過其他相片的網路出發。這一課要拆開它的基本構件，看看
# 莽撞的第一步如何毀掉網路已有的知識，畫出不會造成破壞的學習率，最後拿你自己的相片去問訓練好的網路。
#
# 你需要上過第 0、1、3 課，或認得這些詞：學習率、週期、通道、1x1、批次正規化、函式風格。大約 45 分鐘。**粗體字**都收錄在
# [詞彙表](../../docs/glossary.md)。

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
from pathlib import Path

import numpy as np

import fireweed as fw
from fireweed import teaching
from fireweed.teaching import checks, figures

teaching.begin("zh-TW")  # 選擇 TPU、GPU 或 CPU，並說明用了哪一個

# %% [markdown]
# 設 `quick = True` 時全部只訓練幾個週期，一分鐘內可以看完全課。

# %% tags=["parameters"]
quick = False
# 由程式繪製的花；也可以是 "flowers"，或你自己的相片資料夾（每個類別一個資料夾，至少四個類別）。
DATA = "drawn"
# 要拿來問網路的相片：你的資料夾；"" 表示另外畫幾張。
MY_PHOTOS = ""

# %%
photos = teaching.load_photos(DATA, side=48)
side, classes = photos.train.shape[1], len(photos.classes)
print(f"{len(photos.train)} 張訓練相片，{len(photos.validation)} 張驗證相片，邊長 {side} px")

# %% [markdown]
# ## 1. 可分離卷積
#
# 一般的濾鏡同時做兩件事：看四周（3x3 或 4x4 個位置），以及混合通道（把所有通道加起來）。**可分離卷積**把兩件事分開做：
#
# 1. **逐通道**（depthwise）：每個通道各用一個自己的小濾鏡，單獨得到一張圖；
# 2. **逐點**（pointwise）：用 1x1 卷積混合這些圖，每個輸出通道都有自己的一組權重。
#
# （一個通道也可以有好幾個自己的濾鏡，但很少見。）親手對一張相片做：三個 4x4 濾鏡，每個通道一個，再做五種混合。

# %%
photo = photos.train[photos.train_labels == 0][0] / 255
random = np.random.default_rng(3)
depthwise = random.normal(size=(4, 4, 3))
depthwise -= depthwise.mean(axis=(0, 1))  # 讓濾鏡找的是差異，而不是亮度
pointwise = random.normal(size=(3, 5))

windows = np.lib.stride_tricks.sliding_window_view(photo, (4, 4), axis=(0, 1))
filtered = (windows * depthwise.transpose(2, 0, 1)).sum(axis=(3, 4))  # 每個通道各自進行
mixed = filtered @ pointwise  # 每個位置的 3 個數字變成 5 個
print(photo.shape, "->", filtered.shape, "->", mixed.shape)
figures.show_two_stages(photo, depthwise, filtered, mixed)

# %% [markdown]
# **練習 1：可分離卷積。** `cube` 是 (高, 寬, 通道)，`depthwise` 是 (邊長, 邊長, 通道)，`pointwise` 是 (通道, 濾鏡數)。請傳回
# (高 − 邊長 + 1, 寬 − 邊長 + 1, 濾鏡數)。不加偏差，也不用 relu。可以用迴圈。


# %% tags=["exercise", "separable"]
def separable(cube, depthwise, pointwise):
    return ...


# %% tags=["check", "separable"]
checks.check_separable(separable)

# %% [markdown] tags=["solution", "separable"]
# <details><summary>參考解答</summary>
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
# **練習 2：有多少個權重？** 請傳回兩個數字：一般卷積與可分離卷積的權重數，不算偏差。4x4 濾鏡、由 3 個通道變成 5 個時，應該得到 240 與 63。


# %% tags=["exercise", "both_weights"]
def both_weights(side, channels, filters):
    return ...


# %% tags=["check", "both_weights"]
checks.check_both_weights(both_weights)

# %% [markdown] tags=["solution", "both_weights"]
# <details><summary>參考解答</summary>
#
# ```python
# def both_weights(side, channels, filters):
#     ordinary = side * side * channels * filters
#     separable = side * side * channels + channels * filters
#     return ordinary, separable
# ```
#
# 4 x 4 x 3 x 5 = 240，而 4 x 4 x 3 + 3 x 5 = 48 + 15 = 63。
#
# </details>

# %% [markdown]
# **練習 3：有多少次乘加運算？** 輸出有 `height` 乘 `width` 個位置，同樣傳回兩者。


# %% tags=["exercise", "both_products"]
def both_products(side, channels, filters, height, width):
    return ...


# %% tags=["check", "both_products"]
checks.check_both_products(both_products)

# %% [markdown] tags=["solution", "both_products"]
# <details><summary>參考解答</summary>
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
# 兩者相除，通道數與位置數都會消掉：比例是 1 / 濾鏡數 + 1 / 邊長²。濾鏡少時省得不多；有幾百個濾鏡時，3x3 只要九分之一的成本。

# %%
figures.show_shares([3, 4, 5])

# %% [markdown]
# Keras 有現成的層。用在大網路裡常見的立方體上：

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
    model.predict(cubes, verbose=0)  # 先暖身一次
    start = time.perf_counter()
    model.predict(cubes, verbose=0)
    print(f"{name:16} {len(cubes)} 個立方體 {(time.perf_counter() - start) * 1000:6.1f} 毫秒")

# %% [markdown]
# 毫秒數的比例也一樣嗎？多半不是：逐通道的階段乘得少，卻要搬動很多數字，而晶片比較擅長乘法。乘加運算少了，時間不一定省得一樣多。
#
# ## 2. Xception
#
# **Xception**（Chollet，2017）由可分離卷積組成，只有最前面兩層和**捷徑**例外：每個區塊的輸入會從旁邊繞過去，再加到區塊的輸出上。這樣
# 區塊只需要學「要改變什麼」，梯度也有一條捷徑可以回去。（MobileNetV2 與 EfficientNet 也用這種層。）Fireweed 的 `separable` 是同樣的想法，
# 但大小在這裡就訓練得動：

# %%
figures.show_net(fw.build_model("separable", classes=classes, side=side))

# %%
xception = fw.build_model("xception", classes=classes, side=96)
cost = total_cost(xception)
print(f"{cost.parameters:,} 個參數，96 px 的相片需要 {cost.multiply_adds:,} 次乘加運算")
by_kind = {}
for layer in layer_costs(xception):
    number, sum_of = by_kind.get(layer.kind, (0, 0))
    by_kind[layer.kind] = number + 1, sum_of + layer.parameters
for kind, (number, sum_of) in sorted(by_kind.items(), key=lambda item: -item[1][1])[:4]:
    print(f"{number:3} x {kind:20} {sum_of:12,} 個參數，{sum_of / cost.parameters:.0%}")
del xception

# %% [markdown]
# 這麼多數字，光靠幾千張相片是學不來的。但也不必從頭學：邊緣、花瓣、葉子長什麼樣子，在你的相片和別人的相片裡並沒有不同。Xception 學完
# ImageNet（一百多萬張相片、一千個類別）之後的權重是公開的。把在別的任務學到的東西拿來用，稱為**遷移學習**；這樣的網路稱為**預先訓練**的
# 網路；從它的權重出發、小心地繼續學，就是**微調**。
#
# ## 3. 一個有知識的網路
#
# 要看清微調時發生什麼事，我們需要一個自己很了解、幾秒鐘就能學會的網路。所以先自己做一次預先訓練：舊任務是每隔一個取一個類別，用上它們的
# 全部相片；新任務是其餘類別，每類只有十二張，剩下的相片都用來驗證。

# %%
OLD, NEW = list(range(0, classes, 2)), list(range(1, classes, 2))
print("舊任務：", [photos.classes[label] for label in OLD])
print("新任務：", [photos.classes[label] for label in NEW])


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
    f"舊任務：{len(old_train)} 張訓練相片；新任務：{len(new_train)} 張，另有 {len(new_validation)} 張驗證"
)

# %%
# 這裡的訓練很短；若讓 TensorFlow 以 XLA 編譯，編譯會比訓練還久。
JIT = "auto" if keras.backend.backend() == "jax" else False
EAGERLY = quick and not JIT  # quick 時，連步驟的計算圖都不值得建
FULL_RATE = 0.01  # 這個網路從隨機權重開始時學得不錯的學習率

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
figures.show_curves({"舊任務": done.history})

# %% [markdown]
# ## 4. 凍結與可訓練
#
# 新任務的網路：預先訓練的網路取到全域平均為止，也就是它的**骨幹網路**，再加上一個權重隨機的新分類頭。用函式風格只要兩行。兩個網路共用骨幹
# 的層，所以新網路學到什麼，舊網路也跟著變；我們可以用舊的分類頭問問舊網路還記得多少。
#
# （不含分類頭的 Xception，在 Keras 裡是 `keras.applications.Xception(include_top=False, pooling="avg")`，像素範圍是 -1 到 1。
# 對整個模型設定 `trainable = True` 或 `False`，就會套用到它的每一層。）

# %%
averages = pretrained.get_layer("gap1").output
new_head = layers.Dense(len(NEW), activation="softmax", name="new_classes")
net = keras.Model(pretrained.input, new_head(averages))
random_head = new_head.get_weights()

# %% [markdown]
# 謹慎的做法是讓骨幹維持原狀，也就是**凍結**：直接拿它的特徵來用，只有分類頭在學。在 Keras 裡，`trainable` 為 `False` 的層會保持權重不變。
# （凍結的批次正規化也會保持統計值，訓練時就用這些統計值；很久以前的 Keras 不是這樣。）
#
# **練習 4：凍結模型中最後一層以外的所有層。**（`model.layers` 是各層的清單。）


# %% tags=["exercise", "freeze"]
def freeze(model):
    return ...


# %% tags=["check", "freeze"]
checks.check_freeze(freeze)

# %% [markdown] tags=["solution", "freeze"]
# <details><summary>參考解答</summary>
#
# ```python
# def freeze(model):
#     for layer in model.layers[:-1]:
#         layer.trainable = False
# ```
#
# `trainable` 要到下一次 `compile` 才生效。
#
# </details>

# %% [markdown]
# 大膽的做法是讓全部都可訓練，這時一切取決於學習率。每個週期的學習率由**回呼**設定：它是 Keras 在訓練的某些時刻會呼叫的物件。其中一個是
# `LearningRateScheduler`，負責設定學習率；另一個是我們自己寫的，在每個週期之後記下兩個網路各會多少。


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
    noting.note()  # 第一步之前
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
ways = {"凍結": tune(constant, knowing_weights, frozen=True)}
if not quick:
    ways["從頭訓練"] = tune(constant, random_weights)
ways["一開始就用完整學習率"] = tune(constant, knowing_weights)
figures.show_old_and_new(ways)

# %% [markdown]
# 最左邊是第一步之前。看最後一張圖的虛線，也就是舊任務還剩多少：用完整的學習率才走幾步，網路原本會的就少了很多。為什麼？新的分類頭是隨機的，
# 一開始的誤差很大，而且和骨幹毫無關係，卻照樣以完整的學習率傳回骨幹。之後網路只能用剩下的東西，從二十幾張相片學新任務。
#
# ## 5. 上升、維持、下降
#
# 所以學習率一開始要小，小到分類頭找到位置之前骨幹幾乎不動；等傳回來的誤差有意義了，再逐步上升（ramp）；可以維持一陣子，也可以不維持
# （sustain）；最後下降（decay），讓網路安定下來。這樣的計畫稱為**學習率時間表**。
#
# **練習 5：每個週期的學習率。** 週期從 0 開始數。由週期 0 的 `start` 等距上升到週期 `ramp` 的 `peak`；再維持 `sustain` 個週期；之後它與
# `floor` 的距離每個週期乘上 `decay`，第一次是在週期 `ramp + sustain + 1`。


# %% tags=["exercise", "learning_rate"]
def learning_rate(epoch, start, peak, floor, ramp, sustain, decay):
    return ...


# %% tags=["check", "learning_rate"]
checks.check_learning_rate(learning_rate)

# %% [markdown] tags=["solution", "learning_rate"]
# <details><summary>參考解答</summary>
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
# Fireweed 有現成的。畫幾個出來，改改數字：

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
        "上升、下降": plan(LOWER, ramp=6),
        "上升、維持、下降": plan(LOWER, ramp=4, sustain=6, decay=0.6),
        "沒有上升": plan(LOWER, ramp=0),
    }
)

# %% [markdown]
# 需要的是逐步上升，還是較低的高峰？兩者分開試，再合起來試：

# %%
plans = {
    "上升、高峰較低": plan(LOWER, ramp=6),
    "上升、完整高峰": plan(FULL_RATE, ramp=6),
    "一開始就用較低的": plan(LOWER, ramp=0),
}
planned = {"一開始就用完整學習率": ways["一開始就用完整學習率"]}
for name in list(plans)[: 1 if quick else None]:
    planned[name] = tune(plans[name][:epochs], knowing_weights)
figures.show_old_and_new(planned)

# %%
for name, known in (ways | planned).items():
    print(
        f"{name:12} 新任務 {np.mean(known['new'][-5:]):.0%}；"
        f"舊任務原有 {known['old'][0]:.0%}，最低 {min(known['old']):.0%}"
    )

# %% [markdown]
# 跟著虛線看。學習率還在上升時，損失很少；但如果一路升到完整的學習率，網路原本會的照樣會失去，只是晚一點：所以高峰也必須比從頭訓練時低。
# 最後的下降則讓答案安定下來。（只有二十幾張相片，曲線難免跳動，別讀出太多意思。）
#
# 舊任務本身並不重要。它只是用來看預先訓練得到的特徵還在不在，而新任務正是要建立在這些特徵上。新任務最後的成績也許差不多：它只有
# 兩個類別，失去的很快就能重新學會。但請看學習率完整的那幾條，新任務在途中跌得多深：一路跌到瞎猜的程度。換成 ImageNet 的權重，能失去的
# 就更多了，而你的相片太少，沒辦法再學一次。
#
# 對 Xception，這套課程所依循的 codelab，計畫是在五個週期內由 0.00001 升到 0.0004，之後每個週期乘上 0.8。今天多半是每一步都改變學習率，並沿著半個餘弦下降；
# Fireweed 的配方也是如此。兩種（還有別的）都可以用 `--set training.schedule.kind=...` 選擇；`fireweed recipes xception` 會畫出曲線。
#
# ## 6. 達到並越過 95%
#
# 由 ImageNet 的權重出發的完整 Xception，在 `flowers` 的 3,670 張相片上的成績：由程式量測、隨專案提交，附 95% 信賴區間。`frozen` 只算一次每張
# 相片的特徵，再用它們訓練分類頭，成本低得多；`xception` 讓所有權重都可訓練。最上面是由隨機權重開始的最佳網路，供比較：

# %%
reached = {}
for recipe in ("squeezenet", "frozen", "xception"):
    figure = teaching.measured(recipe)
    reached[f"{recipe}，種子數：{figure['seeds']}"] = (figure["mean"], *figure["interval_95"])
figures.show_goals(reached, goal=0.95)

# %% [markdown]
# 圓點在線的右邊，表示達到目標；整條橫線都在右邊，才是毫無疑問。指令是：
#
# ```
# fireweed train --data flowers --recipe frozen
# fireweed train --data flowers --recipe xception
# ```
#
# 下面用 `DATA` 做一次你自己的訓練。如果手邊有 Xception 的 ImageNet 權重，就用凍結的 Xception 與小相片；否則從頭訓練一個小網路。（指令需要
# 權重而且有網路連線時，Fireweed 會自己下載。）

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
print(f"{result['photos']} 張驗證相片中的 {result['accuracy']:.0%}；報告：{run.report}")
reached[f"{DATA}：你的"] = (result["accuracy"], *result["interval_95"])
figures.show_goals(reached, goal=0.95)

# %% [markdown]
# ## 7. 問問它
#
# 把幾張相片放進一個資料夾，把資料夾名稱寫進最上面的 `MY_PHOTOS`，再執行一次。（在 Colab：點左側的資料夾圖示再上傳。）在那之前，問的是剛剛
# 才畫、沒有任何網路學過的花，還有一張什麼都沒有的圖。

# %%
from fireweed.data.drawn import draw_photo

if MY_PHOTOS:
    asked = sorted(path for path in Path(MY_PHOTOS).iterdir() if path.is_file())[:6]
else:
    folder = Path("runs/asked")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: draw_photo(name, 5000) for name in ("daisy", "dandelion", "roses", "tulips")}
    pictures["雜訊"] = random.integers(0, 256, (96, 96, 3)).astype(np.uint8)
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
# 雜訊圖也得到一個類別。不論輸入什麼，softmax 的答案加起來都是 1，所以網路只能在它認得的類別裡選；「以上皆非」並不在其中。如果網路會被問到
# 各種東西，就該用各式各樣的相片教它一個「其他」類別，或者把沒把握的答案交給人來看。執行報告會告訴你答案的把握與答對的比例是否相符（校準）。
#
# ## 你完成了什麼
#
# 從一個神經元開始，到微調一個大型卷積網路，並拿它從沒看過的相片問它。對你自己的相片，這一切只要一個指令，`fireweed train --data 資料夾`，
# 而且你知道它在做什麼。
#
# ## 接下來試試
#
# * 在第 4 節，只在 `constant` 裡把 `FULL_RATE` 改成十分之一。有害的是完整的學習率，還是任何學習率？
# * 在第 3 節，每類改用四張或四十張相片。預先訓練到什麼時候就不划算了？
# * 在第 5 節，試試一個週期的上升，以及十五個週期的。
# * `fireweed train --data 資料夾 --recipe xception --minutes 20` 會在你有的時間內完成微調。
# * `fireweed evaluate 資料夾 --part test`（第 6 節的報告所在的資料夾）會拿一直保留不用的相片來測試。
