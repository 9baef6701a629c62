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
# # 第 3 課：SqueezeNet
#
# [![在 Colab 開啟](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/3_squeezenet.ipynb)
# [![在 Kaggle 開啟](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/3_squeezenet.ipynb)
# [English](../en/3_squeezenet.ipynb)
#
# [第 1 課](1_convolutions.ipynb)的網路是一層接一層排成一列，現代的網路則會分支再合併。這一課要親手寫出這種模組，用一行文字就組出一個
# 網路，大量嘗試，把成績與成本記成一張表；最後加上讓小網路越過 80% 的兩種方法：批次正規化與資料擴增。
#
# 你需要上過第 1 課，或認得這些詞：卷積、濾鏡、通道、1x1、最大池化。大約 50 分鐘。**粗體字**都收錄在[詞彙表](../../docs/glossary.md)。

# %% tags=["setup"]
# 尚未安裝時才安裝 Fireweed（例如在 Colab 或 Kaggle）；已有的 TensorFlow 會保留。
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

teaching.begin("zh-TW")  # 選擇 TPU、GPU 或 CPU，並說明用了哪一個

# %% [markdown]
# 設 `quick = True` 時訓練的網路較少、相片較少，每個只訓練兩個週期，一分鐘內可以看完全課。

# %% tags=["parameters"]
quick = False
# 由程式繪製的花；也可以是 "flowers"，或你自己的相片資料夾（每個類別一個資料夾）。
DATA = "drawn"

# %%
photos = teaching.load_photos(DATA, side=32, photos_per_class=25 if quick else None)
side, classes = photos.train.shape[1], len(photos.classes)
print(f"{len(photos.train)} 張訓練相片，{len(photos.validation)} 張驗證相片，邊長 {side} px")

# %% [markdown]
# ## 1. Sequential 與函式風格
#
# **Sequential** 模型是一份清單：每一層接收前一層的輸出，除了排成一列，做不了別的。Keras 的**函式風格**則把層當成函式來用：放進一個張量，
# 得到一個張量。這時什麼都還沒計算，Keras 只記下每個張量是從哪裡來的。最後用 `keras.Model(x, y)` 指出網路的起點與終點，Keras 就循著
# 紀錄建成網路。
#
# 同一個網路寫兩次：

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
print("答案相同：", np.allclose(*answers, atol=1e-6))
print("x 與 y 是：", x.shape, "->", y.shape)

# %% [markdown]
# 每一行都給 `y` 新的值，但之前的張量並沒有消失：網路記得它們。替其中一個另取名字留著，就能用兩次。所謂分支，不過如此。
#
# ## 2. 分支：inception 模組
#
# 下一層該放什麼？3x3 卷積、1x1，還是池化？與其挑一個，不如把幾種並列，都接同一個輸入，再把各自的輸出當成通道前後相疊，也就是**串接**。
# 哪一種有用，由梯度下降透過後面那一層的權重來決定。網路中像這樣分開又合併的部分稱為**模組**，這一種是 **inception 模組**。（最早以此為名
# 的網路，裡面還有 5x5 濾鏡和池化。）

# %%
x = keras.Input((side, side, 3), name="photo")
y = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(x)
y1 = layers.Conv2D(16, 1, padding="same", activation="relu", name="by_1x1")(y)  # 兩個分支
y3 = layers.Conv2D(16, 3, padding="same", activation="relu", name="by_3x3")(y)
y = layers.Concatenate(name="module")([y1, y3])  # 16 + 16 個通道
z = layers.GlobalAveragePooling2D(name="gap")(y)
z = layers.Dense(classes, activation="softmax", name="classes")(z)
model = keras.Model(x, z)
print("合併後：", y.shape)
figures.show_net(model)

# %% [markdown]
# 要串接的分支，高和寬必須相同，所以到處都用 `padding="same"`。另外，密集層要的是每張相片一個向量；直接接在立方體上，它會在每個位置各給
# 一個答案。所以要先把立方體變成向量；這裡用的是平均，第 4 節會說明。
#
# ## 3. fire 模組
#
# 卷積網路的權重大多花在「通道很多的 3x3 濾鏡」上：每個濾鏡的每個通道要九個權重。**SqueezeNet** 的作者（Iandola 等人，2016）想法很簡單：
# 讓 3x3 濾鏡少看一些通道。他們的 **fire 模組**分成兩步：
#
# * **壓縮**（squeeze）：用 1x1 卷積把許多通道混合成少數幾個；
# * **擴張**（expand）：在這幾個通道上，並列一個 1x1 和一個 3x3 卷積，再變回許多通道，各佔一半。
#
# **練習 1：fire 模組。** `x` 是張量，`squeeze` 和 `expand` 是濾鏡數；請傳回串接後的張量。三個卷積都要用 relu。


# %% tags=["exercise", "fire"]
def fire(x, squeeze, expand):
    return ...


# %% tags=["check", "fire"]
checks.check_fire(fire)

# %% [markdown] tags=["solution", "fire"]
# <details><summary>參考解答</summary>
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
# Keras 的層分兩步使用：`layers.Conv2D(16, 3)` 造出一層，`(x)` 才套用它。寫一個「傳回函式的函式」，模組用起來就和層一樣。（Fireweed 備有
# 現成的 fire 模組；取名字是為了讓圖好讀。）

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
# **練習 2：一個 fire 模組要學多少個數字？** 輸入有 `channels` 個通道。請算三個卷積的權重與偏差。


# %% tags=["exercise", "fire_weights"]
def fire_weights(channels, squeeze, expand):
    return ...


# %% tags=["check", "fire_weights"]
checks.check_fire_weights(fire_weights)

# %% [markdown] tags=["solution", "fire_weights"]
# <details><summary>參考解答</summary>
#
# ```python
# def fire_weights(channels, squeeze, expand):
#     half = expand // 2
#     return (channels + 1) * squeeze + (squeeze + 1) * half + (9 * squeeze + 1) * half
# ```
#
# </details>

# %% [markdown]
# 在 16×16 的立方體上，由 96 個通道變成 128 個，能省多少？改改 squeeze 的大小，看看到什麼時候就不划算了：

# %%
cube = keras.Input((16, 16, 96))
modules = {"一般 3x3": layers.Conv2D(128, 3, padding="same", activation="relu")(cube)}
for squeeze in (16, 48, 96):
    modules[f"fire {squeeze} 128"] = fire_module(squeeze, 128, f"fire{squeeze}")(cube)
costs = {name: total_cost(keras.Model(cube, y), side=16) for name, y in modules.items()}
figures.show_costs({name: (cost.parameters, cost.multiply_adds) for name, cost in costs.items()})

# %% [markdown]
# 代價是什麼？3x3 濾鏡只看得到通道的組合，而且壓縮成幾個就只有幾個。準確率因此損失得很少，這就是作者們的發現。squeeze 幾乎總是小於 expand。
#
# ## 4. 全域平均池化
#
# 第 1 課把最後的立方體壓平成向量，所以分類頭的每個權重都屬於某個位置。**全域平均池化**改成取每個通道在整張圖上的平均：「這種圖樣有多少，
# 不管在哪裡」。好處有三：分類頭的權重少得多、答案不在乎花在哪個位置、同一個網路可以接受任何邊長的相片。

# %%
body = "conv 16 | pool | fire 12 24 | pool | fire 24 48"
for head in ("flatten", "gap"):
    net = fw.build_model(f"{body} | {head}", classes=classes, side=side)
    print(f"{head:8} {net.get_layer('classes').count_params():6,} 個數字在分類頭")

any_side = fw.build_model(f"{body} | gap", classes=classes)
for pixels in (32, 50, 96):
    print(f"{pixels} px 的相片：", any_side(np.zeros((2, pixels, pixels, 3))).shape)

# %% [markdown]
# ## 5. 遊樂場
#
# 要幾次池化？之間放幾個模組？多少濾鏡？沒有人能事先知道，只能試。為了讓嘗試變容易，Fireweed 可以從一行文字讀出網路：
#
# | 字 | 作用 |
# |---|---|
# | `conv 16` | 16 個 3x3 濾鏡、relu、批次正規化（第 6 節）；`conv 16 1`：1x1；`conv 16 /2`：步幅 2 |
# | `fire 12 24` | 壓縮成 12，擴張成 24；`fire 12 24 x2`：連續兩個 |
# | `inception 8 16` | 8 個 1x1 濾鏡與 16 個 3x3 濾鏡並列 |
# | `pool` | 最大池化；`pool avg`：取平均 |
# | `gap` | 全域平均池化，接著是類別 |
# | `norm none`、`norm batch 0.99` | 寫在最前面：不用批次正規化，或指定它的動量 |
#
# 可以從這些好習慣開始：先放一個普通的卷積，之後是 fire 模組，其間穿插池化；2 到 4 次池化；連續 1 到 3 個模組；8 到 196 個濾鏡，隨著池化
# 逐漸增加，或從頭到尾一樣。`Tries` 讓每一行都訓練一樣久，並記下結果：

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
# 相信這個排名之前，請先想一想：準確率是有限張相片中的比例，起始權重又是隨機的。下面的區間只考慮相片的數量：100 次有 95 次，真正的準確率
# 落在裡面。差距比它還小的網路，各試一次是分不出高下的；要更多相片，或多試幾次（換種子）才行。

# %%
from fireweed.evaluation.metrics import wilson_interval

best = tries.sorted().rows[0]
count = len(photos.validation)
least, most = wilson_interval(round(best.accuracy * count), count)
print(f"{count} 張相片中的 {best.accuracy:.1%}：介於 {least:.1%} 與 {most:.1%} 之間")
print(f"多對或多錯一張：{1 / count:.1%}")

# %% [markdown]
# **練習 3：你自己的網路。** 為 32 px 的相片寫一個網路，由 `conv` 開始、到 `gap` 結束，有 2 到 4 次池化，兩次池化之間有 1 到 3 個 fire 模組，
# 參數最多 40,000 個，乘加運算最多 400 萬次。然後試著打敗上面的表。

# %% tags=["exercise", "fire_line"]
line = "..."

# %% tags=["check", "fire_line"]
checks.check_fire_line(line)

# %% [markdown] tags=["solution", "fire_line"]
# <details><summary>參考解答</summary>
#
# ```python
# line = "conv 24 | pool | fire 16 32 x2 | pool | fire 24 48 x2 | pool | fire 32 64 | gap"
# ```
#
# 第一次池化來得早：在它之前，每個濾鏡要處理的位置是之後的四倍。
#
# </details>

# %%
if checks.check_fire_line(line) and not quick:
    tries.add(line)
tries.sorted()

# %% [markdown]
# ## 6. 批次正規化
#
# 每一層都從前一層的輸出學習，但大家同時在學，所以前一層的輸出一直在變。通道的尺度會漂移，有的變大，有的變弱，梯度也跟著變。
# **批次正規化**把每個通道帶回已知的尺度。訓練時，它取一個通道在整個批次所有相片、所有位置上的平均與變異數，計算
#
# > （x − 平均） / √（變異數 + 0.001） × scale + shift
#
# *scale* 與 *shift* 是每個通道各一個、由網路學習的數字：網路仍可以選擇別的尺度，但不再受前面各層擺布。（0.001 是為了避免除以零。）
#
# **練習 4：批次正規化。** `cubes` 是 (相片, 高, 寬, 通道)；`scale` 與 `shift` 每個通道各有一個數字。


# %% tags=["exercise", "batch_norm"]
def batch_norm(cubes, scale, shift):
    return ...


# %% tags=["check", "batch_norm"]
checks.check_batch_norm(batch_norm)

# %% [markdown] tags=["solution", "batch_norm"]
# <details><summary>參考解答</summary>
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
# 用 Keras 的層來看：一個批次的三個通道，正規化之前與之後：

# %%
batch = photos.train[:32] / 255 * [1.0, 0.3, 3.0]  # 讓紅、綠、藍的尺度各不相同
normed = keras.ops.convert_to_numpy(layers.BatchNormalization()(batch, training=True))
figures.show_spreads({"之前": batch.reshape(-1, 3), "之後": normed.reshape(-1, 3)})

# %% [markdown]
# 訓練好的網路也要能回答單張相片，而單張相片不成批次。所以這一層會記住統計值：每個訓練步驟之後，它讓自己的**移動平均**（變異數也一樣）往
# 這個批次的值靠近一點，
#
# > 移動平均 ← 動量 × 移動平均 + （1 − 動量） × 這個批次的值
#
# 並用它們來回答。起始值是 0 與 1，和你的相片毫無關係。多久才會忘掉起始值呢？Keras 慣用的動量是 0.99，適合一個週期有數千步的大資料集。

# %%
steps_per_epoch = len(photos.train) // 32
figures.show_following([0.99, 0.9], steps=steps_per_epoch * 10, steps_per_epoch=steps_per_epoch)

# %% [markdown]
# **練習 5：幾個週期才忘掉？** 經過多少個完整的週期，移動平均裡的起始值才剩不到 `share`？


# %% tags=["exercise", "epochs_to_forget"]
def epochs_to_forget(momentum, steps_per_epoch, share):
    return ...


# %% tags=["check", "epochs_to_forget"]
checks.check_epochs_to_forget(epochs_to_forget)

# %% [markdown] tags=["solution", "epochs_to_forget"]
# <details><summary>參考解答</summary>
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
# 也可以一次算出來：`int(np.ceil(np.log(share) / np.log(momentum) / steps_per_epoch))`。
#
# </details>

# %% [markdown]
# 現在把同一個網路訓練三次：沒有批次正規化、慣用的動量、0.9。

# %%
net = "conv 16 | pool | fire 12 24 | pool | fire 24 48 | gap"
norms = teaching.Tries(photos, epochs)
if not quick:
    norms.add(f"norm none | {net}", name="不正規化")
norms.add(f"norm batch 0.99 | {net}", name="動量 0.99")
norms.add(f"norm batch 0.9 | {net}", name="動量 0.9")
norms

# %%
figures.show_curves_together(
    {row.name: row.history["val_accuracy"] for row in norms.rows}, "驗證準確率"
)

# %% [markdown]
# 用 0.99 時，網路有好一陣子像是什麼都不會，但只有在驗證相片上如此。問題出在網路，還是只出在統計值？讓它像訓練時那樣（`training=True`），改用
# 驗證相片自己的平均與變異數來回答：

# %%
for name in ("動量 0.99", "動量 0.9"):
    model = norms[name].model
    told = []
    for way, training in (("留下的統計值", False), ("批次自己的", True)):
        answers = keras.ops.convert_to_numpy(model(photos.validation, training=training))
        told.append(f"{way} {(answers.argmax(axis=1) == photos.validation_labels).mean():.0%}")
    print(f"{name:8} {', '.join(told)}")

# %% [markdown]
# （第二種方式只是測試，不是解法：一張相片的答案會取決於旁邊是哪些相片。）
#
# ## 7. 資料擴增
#
# 左右翻轉的雛菊還是雛菊，顏色淡一點也是。知道標籤的一張相片，可以變出許多同樣知道標籤的相片：**資料擴增**在每個週期隨機把訓練相片改變
# 一點。網路不會兩次看到一模一樣的相片，想死背就難了。但是不能改變相片的內容：把 6 上下顛倒，就成了 9。
#
# **練習 6：擴增一張相片。** 以二分之一的機會左右翻轉，並把飽和度（顏色鮮豔的程度）乘上一個在 0 到 2 之間均勻抽出的倍數。`random` 是 numpy
# 的亂數產生器（`random.random()` 給出 0 到 1 的數，`random.uniform(0, 2)` 給出 0 到 2 的數）。現成可用的有 `saturate(photo, factor)` 與
# `flip(photo, mirrored)`。


# %% tags=["exercise", "augment"]
from fireweed.data.augment import flip, saturate


def augment(photo, random):
    return ...


# %% tags=["check", "augment"]
checks.check_augment(augment)

# %% [markdown] tags=["solution", "augment"]
# <details><summary>參考解答</summary>
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
# 擴增出來的相片一定要看一看。如果連你都認不出是哪一類，就是改太多了：

# %%
random = np.random.default_rng(1)


def changed(many):
    return np.stack(
        [flip(saturate(photo, random.uniform(0, 2)), random.random() < 0.5) for photo in many]
    )


photo = photos.train[photos.train_labels == classes - 1][1]
figures.show_changes(photo, changed([photo] * 15))

# %% [markdown]
# 只改變訓練相片。驗證要問的是網路對「原本的相片」表現如何，而且每次都該是同一個問題。
#
# 相片越少，擴增越重要。所以這裡每個類別只用 15 張訓練相片，比較有無擴增。請看訓練與驗證的曲線分得多開：

# %%
few = teaching.load_photos(DATA, side=32, photos_per_class=15)
augmented = teaching.Tries(few, epochs=2 if quick else 40)
augmented.add(net, name="原樣")
augmented.add(net, name="擴增", change=changed)
figures.show_curves({row.name: row.history for row in augmented.rows})

# %%
for row in augmented.rows:
    training = np.mean(row.history["accuracy"][-5:])
    print(f"{row.name:6} 訓練 {training:.0%}，驗證 {row.accuracy:.0%}")

# %% [markdown]
# 擴增讓訓練相片變難：訓練曲線上升得比較慢，也需要更多週期。這正是它的用意。用 `tf.data`（第 2 課）時，只要在組成批次之前，對訓練相片多做一次
# `map`。Fireweed 的每個配方都會翻轉相片、改變飽和度並隨機裁切；加上 `--no-augment` 就不做。
#
# ## 8. 達到並越過 80%
#
# 全部合在一起，訓練得夠久，用真實的相片：以下是 Fireweed 由隨機權重開始的配方在 `flowers` 的 3,670 張相片上的成績，由程式量測並隨專案提交；
# 橫線是 95% 信賴區間。`squeezenet` 是這一課所依據的 codelab 的網路（目標：80%），`fast` 是一行文字。旁邊是你的成績：用的是你的 `DATA`，比較時
# 要小心，畫出來的花比真實的容易。

# %%
reached = {}
for recipe in ("fast", "squeezenet"):
    figure = teaching.measured(recipe)
    reached[f"{recipe}, flowers"] = (figure["mean"], *figure["interval_95"])
if not quick:
    run = fw.train(DATA, recipe="fast", side=64, quiet=True)
    own = run.evaluate()
    reached[f"fast，{DATA}：你的"] = (own["accuracy"], *own["interval_95"])
figures.show_goals(reached, goal=0.8)

# %% [markdown]
# 要做真正的，你需要相片（`flowers` 會下載一次，約 230 MB）和一點耐心，或一個 GPU 或 TPU：
#
# ```
# fireweed train --data flowers --recipe fast
# fireweed train --data flowers --recipe squeezenet
# ```
#
# 這個網路的成本；`fireweed models squeezenet` 會逐層列出：

# %%
squeezenet = fw.build_model("squeezenet", classes=classes, side=192)
cost = total_cost(squeezenet)
print(f"{cost.parameters:,} 個參數，192 px 的相片需要 {cost.multiply_adds:,} 次乘加運算")
largest = max(layer_costs(squeezenet), key=lambda layer: layer.multiply_adds)
print(f"最耗運算的是 {largest.name}，佔 {largest.multiply_adds / cost.multiply_adds:.0%}")

# %% [markdown]
# ## 接下來試試
#
# * 在第 5 節：同一個網路，用 2 次和 4 次池化。把開頭的 `conv 16 | pool` 換成 `conv 32 /2`。
# * squeeze 為 expand 的四分之一，和二分之一一樣好嗎？八分之一呢？
# * 只改一個濾鏡（`conv 17`），看看準確率會無緣無故變動多少。
# * 在第 7 節：只翻轉，或只改飽和度。把鬱金香上下顛倒（`photo[::-1]`）又會怎樣？
# * 由一行文字做一次附報告的完整訓練：`fireweed train --data drawn --model "conv 16 | pool | fire 12 24 | gap"`。
#
# 下一課：[第 4 課：微調 Xception](4_xception.ipynb)：一個在看你的相片之前，已經看過百萬張相片的大網路。
