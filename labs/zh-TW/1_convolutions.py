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
# # 第 1 課：卷積
#
# [![在 Colab 開啟](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/1_convolutions.ipynb)
# [![在 Kaggle 開啟](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/1_convolutions.ipynb)
# [English](../en/1_convolutions.ipynb)
#
# [第 0 課](0_pixels.ipynb)的密集網路在相片的每個位置都要重新學起，也不知道哪些像素是鄰居。**卷積**網路只看小區塊，而且到處使用相同的
# 權重。這一課要親手讓濾鏡在相片上滑動，算出它的成本，再把這樣的層疊成兩個網路，加以訓練，並看看裡面學到了什麼。
#
# 你需要上過第 0 課，或認得這些詞：權重、偏差、relu、softmax、週期。大約 55 分鐘。**粗體字**都收錄在[詞彙表](../../docs/glossary.md)。

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
# 設 `quick = True` 時網路只訓練一個週期，一分鐘內可以看完全課。

# %% tags=["parameters"]
quick = False
# 由程式繪製的花；也可以是 "flowers"，或你自己的相片資料夾（每個類別一個資料夾）。
DATA = "drawn"

# %%
photos = teaching.load_photos(DATA, side=48)
classes = len(photos.classes)
print(f"{len(photos.train)} 張訓練相片，{len(photos.validation)} 張驗證相片")

# %% [markdown]
# ## 1. 濾鏡滑過相片
#
# 在卷積裡，一個神經元只看一小塊。它和所有神經元一樣，把區塊裡的像素各乘上權重再相加。接著區塊滑動一個像素，再用同樣的權重算一次，
# 直到走遍整張圖。這樣一小塊權重稱為**濾鏡**（或稱核），這種滑動就是**卷積**。
#
# 下面是其中的一步，用的是只有一個通道、左暗右亮的小圖：

# %%
small = np.array([[0, 0, 0, 9, 9, 9]] * 6)
vertical = np.array([[-1, 0, 1]] * 3)
figures.show_window(small, vertical, row=1, column=2)

# %% [markdown]
# 由左到右變亮的地方，這個濾鏡的輸出很強；到處都一樣的地方則是 0：它找的是垂直邊緣。改改 `vertical`、`small` 和視窗的位置，看看會怎樣。
#
# 輸出比原圖小，少了濾鏡的邊長減一：在邊緣，視窗會超出圖外。用 `padding="same"` 時，層會在圖的四周補零，讓大小不變；不補的稱為 "valid"。
#
# 現在對整張相片做，用純 Python：兩個迴圈，裡面一行。


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
    "垂直邊緣": vertical,
    "水平邊緣": vertical.T,
    "斑點": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    "平均（模糊）": np.ones((3, 3)) / 9,
}
answers = {name: slide_grey(grey, weights) for name, weights in filters.items()}
figures.show_answers(grey, filters, answers)

# %% [markdown]
# 這些濾鏡是人想出來的。網路從隨機的濾鏡開始，靠梯度下降找出哪些濾鏡有助於分辨類別。
#
# 相片有三個通道，濾鏡對每個通道都有權重：4×4 像素的濾鏡有 4 x 4 x 3 = 48 個權重。48 個乘積全部加成一個數字。

# %%
print("4x4 濾鏡用在 3 個通道上的權重數：", 4 * 4 * 3)
figures.show_channels(photo)

# %% [markdown]
# **練習 1：讓濾鏡滑過彩色相片。** `photo` 是 (高, 寬, 3)，`weights` 是 (邊長, 邊長, 3)。請傳回 relu 之後的結果，形狀為
# (高 − 邊長 + 1, 寬 − 邊長 + 1)。別忘了偏差。


# %% tags=["exercise", "slide"]
def slide(photo, weights, bias):
    return ...


# %% tags=["check", "slide"]
checks.check_slide(slide)

# %% [markdown] tags=["solution", "slide"]
# <details><summary>參考解答</summary>
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
# ## 2. 立方體變成立方體
#
# 48 個權重的自由度不夠。所以用新的權重對同一張相片再濾一次，又再一次。每個濾鏡得到自己的一張圖，這些圖前後相疊，就像紅、綠、藍一樣，
# 所以也稱為**通道**。卷積把一個資料立方體變成另一個資料立方體，因此卷積可以一層層疊起來。
#
# 一層的所有濾鏡合起來是一個權重張量：(高, 寬, 輸入通道, 濾鏡數)。

# %%
import keras

layer = keras.layers.Conv2D(filters=5, kernel_size=4, padding="same", activation="relu")
cube = keras.ops.convert_to_numpy(layer(photo[None] / 255))[0]
kernel, bias = layer.get_weights()
print("權重", kernel.shape, "=", kernel.size, "個數字，另有偏差", bias.size, "個")
figures.show_cubes({"相片": photo.shape, "5 個濾鏡": cube.shape})

# %% [markdown]
# 這一層算的，真的就是你寫的那個總和嗎？取一個不在邊緣的位置和一個濾鏡，親手加加看。（用 "same" 且濾鏡邊長為 4 時，上方和左方各補一個像素。）

# %%
patch = photo[9:13, 19:23] / 255
by_hand = max(0.0, (patch * kernel[..., 2]).sum() + bias[2])
print(f"這一層：{cube[10, 20, 2]:.5f}；親手算：{by_hand:.5f}")

# %% [markdown]
# **練習 2：一個卷積要學多少個數字？** 濾鏡的邊長是 `side`；偏差也要算。


# %% tags=["exercise", "conv_weights"]
def conv_weights(side, channels, filters):
    return ...


# %% tags=["check", "conv_weights"]
checks.check_conv_weights(conv_weights)

# %% [markdown] tags=["solution", "conv_weights"]
# <details><summary>參考解答</summary>
#
# ```python
# def conv_weights(side, channels, filters):
#     return side * side * channels * filters + filters
# ```
#
# </details>

# %% [markdown]
# 相片的大小並不在式子裡。和輸出數量相同的密集層比一比：

# %%
inputs, outputs = photo.size, cube.size
print(f"卷積要學的數字：{kernel.size + bias.size:,}")
print(f"輸出數量相同的密集層：{inputs * outputs + outputs:,}")

# %% [markdown]
# ## 3. 縮小立方體：步幅與最大池化
#
# 要看出有一朵花，不必知道每個像素在哪裡。所以資料在網路裡會越來越矮、越來越窄，通道則通常越來越多。縮成一半有兩種方法：
#
# * **步幅**為 2：濾鏡一次滑動兩個像素（帶步幅的卷積）；
# * **最大池化**：每個 2×2 只留下最大的數字，每個通道各自進行。留下來的訊息是「濾鏡要找的圖樣就在這附近」。

# %%
values = np.array([[1, 3, 0, 2], [4, 2, 1, 0], [0, 1, 5, 6], [2, 0, 7, 1]])
largest = keras.ops.max_pool(values[None, ..., None].astype("float32"), pool_size=2)
figures.show_windows(
    values, strided=values[::2, ::2], pooled=keras.ops.convert_to_numpy(largest)[0, ..., 0]
)

# %% [markdown]
# **練習 3：立方體的最大池化。** 邊長為偶數的 (高, 寬, 通道) 會變成 (高 / 2, 寬 / 2, 通道)。


# %% tags=["exercise", "max_pool"]
def max_pool(cube):
    return ...


# %% tags=["check", "max_pool"]
checks.check_max_pool(max_pool)

# %% [markdown] tags=["solution", "max_pool"]
# <details><summary>參考解答</summary>
#
# ```python
# def max_pool(cube):
#     height, width, channels = cube.shape
#     windows = cube.reshape(height // 2, 2, width // 2, 2, channels)
#     return windows.max(axis=(1, 3))
# ```
#
# 也可以用四個切片：`np.maximum.reduce([cube[::2, ::2], cube[1::2, ::2], cube[::2, 1::2], cube[1::2, 1::2]])`。
#
# </details>

# %% [markdown]
# ## 4. 兩個 3x3 濾鏡與一個 5x5
#
# 一個輸出看得到相片的多大範圍？這就是它的**感受野**。我們直接問網路：在全黑的圖上一次點亮一個像素，記下中央的輸出有沒有改變。


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
# 連續兩個 3x3 濾鏡看到的範圍和一個 5x5 一樣大。兩者能算出的組合並不完全相同，但前者中間多了一個 relu，而且比較便宜。網路寫成一行文字後，
# Fireweed 可以算出每一層的權重數和**乘加運算**次數（一張相片要做多少次相乘再相加）：

# %%
from fireweed.models.cost import layer_costs

for line in ("norm none | conv 24 | conv 24 3 x2 | gap", "norm none | conv 24 | conv 24 5 | gap"):
    layers = layer_costs(fw.build_model(line, side=48))
    behind = [layer for layer in layers if layer.kind == "Conv2D"][1:]
    parameters = sum(layer.parameters for layer in behind)
    products = sum(layer.multiply_adds for layer in behind)
    print(f"{line:42} 第一層之後：{parameters:,} 個權重，{products:,} 次乘加運算")

# %% [markdown]
# 池化讓感受野快速變大：在池化之後，往旁邊走一格就是相片上的兩個像素。
#
# **練習 4：感受野。** `layers` 是從相片開始依序排列的(視窗邊長, 步幅)；2×2 的最大池化是 (2, 2)。請傳回最後一層的一個輸出看得到的邊長
# （像素）。
#
# 提示：一開始感受野是 1、一步是 1 個像素。每一層讓感受野增加（邊長 − 1）步，然後一步的大小再乘上該層的步幅。


# %% tags=["exercise", "reach"]
def reach(layers):
    return ...


# %% tags=["check", "reach"]
checks.check_reach(reach)

# %% [markdown] tags=["solution", "reach"]
# <details><summary>參考解答</summary>
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
# ## 5. 1x1 卷積有什麼用？
#
# 在平面的圖上，1x1 濾鏡只是把每個像素乘上一個數。但在立方體上，它在每個位置把所有通道各乘上權重再相加：它混合通道，不看鄰居。如果一個
# 通道代表「尖耳朵」，另一個代表「鬍鬚」，1x1 濾鏡就能說「貓」。
#
# 試試看：四個通道分別找出朝右、朝左、朝下、朝上的邊緣。一個只有四個權重的 1x1 濾鏡，就能把它們合成不分方向的輪廓：


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
print("與 1x1 層相同：", np.allclose(as_layer, mixed, atol=1e-5))
figures.show_maps(photo, {"4 個通道": edges, "1x1 混合": mixed[..., None]}, columns=4)

# %% [markdown]
# 而且很便宜：通道相同時，3x3 濾鏡的權重是 1x1 的九倍。所以網路常讓兩者交替：3x3 負責看四周，1x1 負責組合。第 3 課會用這個想法建出整個網路。
#
# ## 6. 分類頭：從立方體到類別
#
# 最後的立方體已經很小，把它壓平成向量，再由一個使用 softmax 的密集層變成機率，這就是**分類頭**，也就是第 0 課的最後一層。Fireweed 備有
# 兩個這樣的網路，第二個讓 3x3 與 1x1 交替：

# %%
side = photos.train.shape[1]
plain = fw.build_model("convnet", classes=classes, side=side)
for layer in layer_costs(plain)[1:]:
    cost = f"{layer.parameters:>7,} 個權重 {layer.multiply_adds:>12,} 次乘加"
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
# ## 7. 訓練
#
# 訓練方式和密集網路相同；密集網路也再訓練一次，放在旁邊比較。

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
    print(f"{name:12} {model.count_params():>9,} 個權重，{time.perf_counter() - start:4.0f} 秒")

figures.show_curves(histories)

# %% [markdown]
# 比較權重的數量和驗證曲線。再像第 0 課那樣移動相片：答案會變成怎樣？

# %%
for name, model in models.items():
    told = []
    for pixels in (0, 2, 4, 8):
        shifted = np.roll(photos.validation, pixels, axis=2)
        right = model.predict(shifted, verbose=0).argmax(axis=1) == photos.validation_labels
        told.append(f"{pixels} px {right.mean():.0%}")
    print(f"{name:12} 移動後答對：{', '.join(told)}")

# %% [markdown]
# 卷積不在乎圖樣在哪裡，分類頭卻還在乎：壓平之後，它的每個權重都屬於一個位置。第 3 課會改用所有位置的平均（全域平均池化）。
#
# ## 8. 它們學到了什麼？
#
# 第一層的濾鏡，畫成小彩色圖。它們由隨機的值開始；相片這麼少、訓練這麼短，大多數還看不出所以然：

# %%
figures.show_filters(plain.get_layer("conv1").get_weights()[0])

# %% [markdown]
# 看它們把相片變成什麼，就清楚多了。立方體的一個通道當成圖來看，稱為**特徵圖**。一層比一層粗略；圖中越來越不像相片，而是網路對相片的理解。

# %%
chosen = ["conv1_1x1", "conv2_1x1", "conv3_1x1", "conv4_1x1"]
looking = keras.Model(mixing.inputs, [mixing.get_layer(name).output for name in chosen])
maps = looking.predict(photo[None], verbose=0)
figures.show_maps(photo, {name: cube[0] for name, cube in zip(chosen, maps, strict=True)})

# %% [markdown]
# 以及它的答案：

# %%
some = np.random.default_rng(0).permutation(len(photos.validation))[:10]
answers = mixing.predict(photos.validation[some], verbose=0)
figures.show_answered(
    photos.validation[some], photos.validation_labels[some], answers, photos.classes
)

# %% [markdown]
# ## 9. 你自己的網路
#
# **練習 5。** 用一行文字為 96 px 的相片寫一個網路：參數最多 20,000 個，而且最後一個立方體的每一格至少看得到 60 px。可用的字：`conv F`（F 個
# 3x3 濾鏡，加 relu 和第 3 課會講的正規化）、`conv F 1`（1x1）、`conv F 3 /2`（步幅 2）、`pool`、`x2`（重複兩次），最後是 `gap`。


# %% tags=["exercise", "net_line"]
line = "..."

# %% tags=["check", "net_line"]
checks.check_net_line(line)

# %% [markdown] tags=["solution", "net_line"]
# <details><summary>參考解答</summary>
#
# ```python
# line = "conv 16 | pool | conv 16 1 | conv 24 | pool | conv 24 | pool | conv 16 1 | conv 32 | pool | conv 16 1 | conv 24 | gap"
# ```
#
# 還有很多其他答案。在 3x3 之前先用 1x1 卷積減少通道最省：這就是所謂的「壓縮」（squeeze）。
#
# </details>

# %% [markdown]
# 用一個呼叫訓練你的網路。`fw.train` 會做你在這一課親手做過的事，還有更多：選擇批次大小與學習率、在每個週期變化相片、平均權重，並寫出報告。

# %%
if checks.check_net_line(line) and not quick:
    run = fw.train(DATA, model=line, side=96, epochs=10, out="runs/lab-1", quiet=True)
    print(f"驗證準確率 {run.history[-1]['val_accuracy']:.0%}；報告：{run.report}")

# %% [markdown]
# 真實的相片比畫出來的難。下面是由隨機權重開始的網路在 `flowers` 相片上的成績，經實測並隨專案提交（要重做需要這些相片和更多時間）：

# %%
for recipe in ("fast", "squeezenet"):
    figure = teaching.measured(recipe)
    print(
        f"--recipe {recipe:11} {figure['photos']} 張中答對 {figure['mean']:.1%}，{figure['seeds']} 個種子"
    )

# %% [markdown]
# ## 接下來試試
#
# * 在第 1 節的 `filters` 加入你自己的濾鏡：`[[0, 1, 0], [1, -4, 1], [0, 1, 0]]` 找的是什麼？平均的範圍再大一點呢？
# * 在第 7 節像第 0 課那樣打亂像素。哪個網路會在乎？
# * 建立沒有池化的第一個卷積網路（`fw.build_model("norm none | conv 24 x2 | conv 12 | conv 6 | flatten", side=48)`）：分類頭變成多少個權重？
# * 在終端機執行 `fireweed models convnet-1x1 --side 192`，會列出每一層看得到相片的多大範圍。
#
# 下一課：[第 2 課：餵飽機器](2_feeding.ipynb)：如何讓相片夠快地送到 TPU 或 GPU。
