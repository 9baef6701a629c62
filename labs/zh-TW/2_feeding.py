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
# # 第 2 課：餵飽機器
#
# [![在 Colab 開啟](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/2_feeding.ipynb)
# [![在 Kaggle 開啟](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/YOUR_ACCOUNT/fireweed/blob/main/labs/zh-TW/2_feeding.ipynb)
# [English](../en/2_feeding.ipynb)
#
# TPU 或 GPU 每秒能訓練幾千張相片，前提是相片來得及送到。這一課要替相片從磁碟到網路的每一段路計時，找出卡在哪裡，再做出跟得上的
# 管道。接著看看機器裡面：它怎麼做矩陣乘法、為什麼喜歡 16 位元的數字、八個裝置如何像一個裝置那樣學習，以及現在哪裡用得到這些機器。
#
# 你需要上過第 0 課，或認得這些詞：批次、梯度、學習率、週期。大約 55 分鐘，什麼機器都可以：要弄懂 TPU，不必有 TPU。**粗體字**都收錄在
# [詞彙表](../../docs/glossary.md)。

# %% tags=["setup"]
# 尚未安裝的才安裝（例如在 Colab 或 Kaggle）；已有的 TensorFlow 會保留。
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("fireweed") is None:
    address = "git+https://github.com/YOUR_ACCOUNT/fireweed"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", address], check=True)
if importlib.util.find_spec("jax") is None:  # 第 8 節要用
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

teaching.begin("zh-TW")  # 選擇 TPU、GPU 或 CPU，並說明用了哪一個

# %%
import keras

from fireweed.devices.backends import tensorflow

tf = tensorflow()  # TensorFlow；由 JAX 計算時，它不會佔用 TPU 或 GPU

# %% [markdown]
# 設 `quick = True` 時只用少數相片走完全程，一分鐘內可以看完全課。每次量到的時間都不一樣，機器同時忙別的事時差得更多；看哪個比較大就好，
# 別看最後一位數。

# %% tags=["parameters"]
quick = False
# 由程式繪製的花；也可以是 "flowers"，或你自己的相片資料夾（每個類別一個資料夾）。
DATA = "drawn"

# %% [markdown]
# ## 1. 相片走的路
#
# 網路要從一張相片學到東西，相片得先從磁碟「讀取」，再「解碼」（JPEG 是壓縮過的，網路要的是像素），裁成正方形，稍加「變化」，讓網路在
# 每個週期看到的都不同（這就是**資料擴增**，只對訓練相片做），最後和其他相片組成批次。這整條路就是**資料管道**。我們親自走一遍，替每個
# 階段計時。

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
    lively = grey + random.uniform(0, 2) * (square - grey)  # 由灰階到兩倍鮮豔
    if random.random() < 0.5:
        lively = lively[:, ::-1]  # 左右翻轉
    return np.clip(lively, 0, 255).astype(np.uint8)


rates = {}  # 各階段每秒的張數


def timed(stage, work, items):
    start = time.perf_counter()
    results = [work(item) for item in items]
    rates[stage] = len(items) / (time.perf_counter() - start)
    return results


files = timed("讀取", read_bytes, chosen)
decoded = timed("解碼", read_photo, files)
squares = timed("正方形", lambda rgb: to_square(rgb, SIDE), decoded)
different = timed("變化", changed, squares)
batch = 32
batches = timed(
    "批次", lambda i: np.stack(different[i : i + batch]), range(0, len(chosen) - batch + 1, batch)
)
rates["批次"] *= batch
figures.show_rates(rates)

# %% [markdown]
# 那網路呢？讓第 1 課的卷積網路用同樣的批次學習：

# %%
net = fw.build_model("convnet", classes=len(catalog.classes), side=SIDE)
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
net.train_on_batch(batches[0], labels[:batch])  # 先暖身一次：第一步要編譯
timed("訓練", lambda photos: net.train_on_batch(photos, labels[:batch]), batches)
rates["訓練"] *= batch
figures.show_rates(rates)

# %% [markdown]
# 最慢的階段就是**瓶頸**。在 CPU 上，瓶頸通常是訓練本身。現在假設有一顆晶片，訓練速度是 200 倍（改改 `faster`）：這時最慢的是誰？

# %%
faster = 200
figures.show_rates({**rates, "訓練": rates["訓練"] * faster})

# %% [markdown]
# 再快的晶片，只要在等，就只是昂貴的電暖器。這時把訓練再加快也毫無幫助，只有瓶頸才算數。有兩種辦法：讓各階段同時工作，像工廠的
# 生產線，每站處理不同的相片；以及讓慢的階段少做幾次，或分給更多處理器做。
#
# **練習 1：每秒出來幾張相片？** `rates` 是陣列，內容是各階段每秒能處理的張數。`at_once=False`：一個人把一張相片的所有階段做完，
# 再換下一張。`at_once=True`：每個階段各有一個人，大家同時工作。


# %% tags=["exercise", "pipeline_rate"]
def pipeline_rate(rates, at_once):
    return ...


# %% tags=["check", "pipeline_rate"]
checks.check_pipeline_rate(pipeline_rate)

# %% [markdown] tags=["solution", "pipeline_rate"]
# <details><summary>參考解答</summary>
#
# ```python
# def pipeline_rate(rates, at_once):
#     if at_once:
#         return rates.min()
#     return 1 / (1 / rates).sum()
# ```
#
# 每秒 50 張的階段，每張要花 1/50 秒。輪流進行時，這些秒數要相加。
#
# </details>

# %% [markdown]
# ## 2. 從許多檔案到幾個分片
#
# 剛才讀取看起來很快，因為檔案就在這台機器的磁碟上。大型資料集則放在**值區**（bucket），也就是雲端的儲存空間，要透過網路讀取。在那裡，
# 每讀一個檔案就是一次請求，檔案再小也要等：

# %%
request_seconds = 0.05  # 這是假設，可以改
for files_read, what in ((3670, "3,670 張相片各一個檔案"), (16, "16 個大檔案")):
    print(f"{what}：逐一讀取要等 {files_read * request_seconds:.1f} 秒")

# %% [markdown]
# 所以要把相片裝進幾個大檔案，稱為**分片**：請求次數少，從頭讀到尾，還能同時讀好幾個。常用的格式是 **TFRecord**：記錄一筆接一筆，每筆前面
# 寫著長度。一筆記錄是一個 `tf.train.Example`，也就是由名稱對應到位元組、整數或浮點數清單的字典。這套課程所依循的原教材（Google 的程式碼研究室）的花朵資料，
# 有這五個特徵：


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
    paths.append(str(folder / f"flowers{number:02d}-{len(some)}.tfrec"))  # 檔名中寫著數量
    with tf.io.TFRecordWriter(paths[-1]) as writer:
        for i in some:
            writer.write(example_of(squares[i], labels[i]))
for path in paths:
    print(f"{path}: {Path(path).stat().st_size:,} 個位元組")

# %% [markdown]
# 這種檔案一點也不神祕。先用 8 個位元組寫記錄的長度，再用 4 個檢查長度，接著是記錄本身，最後用 4 個檢查記錄：

# %%
beginning = Path(paths[0]).read_bytes()
(length,) = struct.unpack("<Q", beginning[:8])
first = tf.train.Example.FromString(beginning[12 : 12 + length])
print(f"第一筆記錄：{length:,} 個位元組")
for name, feature in sorted(first.features.feature.items()):
    print(f"  {name:14} {' '.join(str(feature).split())[:50]} ...")

# %% [markdown]
# Fireweed 用一個指令就能寫出這種分片，格式相同，而且更周到（雙胞胎相片留在分割的同一側、有檢查碼、有清單記載內容）：
# `fireweed shards PHOTOS FOLDER --side 192 --count 16`。訓練時用 `--data 'FOLDER/*.tfrec'`，也可以是 `gs://`。
#
# ## 3. tf.data：所有階段同時進行
#
# `tf.data` 用小零件組成管道。每個零件接收一個資料集，傳回新的資料集；在有人要相片之前什麼都不會執行，一旦要了，所有階段就在 TensorFlow
# 自己的執行緒裡同時進行。
#
# **練習 2：讀一筆記錄。** `record` 是一串位元組，也就是上面那種 `tf.train.Example`。請傳回兩樣東西：相片的像素，以及類別的數字。
# `tf.io.parse_single_example(record, features)` 會把記錄拆開，得到一個字典；`features` 說明要找什麼：
#
# ```python
# features = {
#     "image": tf.io.FixedLenFeature([], tf.string),
#     "class": tf.io.FixedLenFeature([], tf.int64),
# }
# ```
#
# `tf.io.decode_jpeg(bytes, channels=3)` 會得到像素。請維持 uint8。


# %% tags=["exercise", "read_record"]
def read_record(record):
    return ...


# %% tags=["check", "read_record"]
checks.check_read_record(read_record)

# %% [markdown] tags=["solution", "read_record"]
# <details><summary>參考解答</summary>
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
# 現在一步步組出整條管道。順序很重要：
#
# 1. 「讀取」：同時讀好幾個分片，而且不必等輪到的那一個；反正之後會打亂，順序無所謂；
# 2. 「解碼」：用上所有處理器；
# 3. **快取**：把解碼後的相片留在記憶體。從第二個週期起，前面的步驟都不花時間；
# 4. 「變化」：放在快取之後，每個週期才會不同；
# 5. 「打亂」、組成批次、**預先擷取**：網路處理這一批時，先備好下一批。
#
# （在快取之後加上 `repeat()`，資料集就沒有盡頭，用於指定 `steps_per_epoch` 的訓練。）


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


AUTO = tf.data.AUTOTUNE  # 同時進行的數量由它決定
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


list(kept)  # 第一個週期填滿快取
so_far = {"記錄": records, "+ 解碼": pixels, "+ 快取，第二個週期": kept, "+ 變化": varied}
flow = {
    name: photos_per_second(dataset.batch(batch, drop_remainder=True))
    for name, dataset in so_far.items()
}
flow["+ 打亂、預先擷取"] = photos_per_second(ready)
figures.show_rates(flow, is_marked=False)

# %% [markdown]
# 每一條代表到該步為止的管道，所以下降最多的地方就是最花時間的階段。（測試這麼短，最後一條常常偏低：`shuffle` 要先填滿緩衝區才會送出相片。）試試看：把 `cache()` 放到 `change` 之後會怎樣？會變快，卻是錯的：
# 每個週期的變化都一樣。拿掉 `num_parallel_calls` 又會怎樣？
#
# （Fireweed 更進一步：每張相片只解碼一次，存成正方形的陣列，tf.data 只負責依週期的計畫取出、變化、組成批次；如果 GPU 或 TPU 的記憶體放得下
# 所有正方形，就一次放進去。訓練花了多少時間等相片，寫在 `history.csv` 的 `share_of_seconds_waited` 欄。）
#
# 預先擷取的作用，畫成時間軸最清楚。我們先量出沒有快取時準備一個批次要多久，再讓一顆假想的晶片用同樣長的時間訓練：它只是睡覺，
# 處理器因此空著，就像真的有加速器一樣。（忘了預先擷取、忘了平行處理時，現在的 TensorFlow 會自動補上。為了看出差別，`by_hand` 把這項功能關掉。）

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


def best_of_five(dataset, train_seconds):  # 其他程式會干擾；最快的一次受干擾最少
    return min(epoch_seconds(dataset, train_seconds) for _ in range(5))


count = len(chosen) // batch
prepare_seconds = best_of_five(preparing, 0) / count
in_turn = best_of_five(preparing, prepare_seconds)
ahead = best_of_five(preparing.prefetch(2), prepare_seconds)
print(f"{count} 個批次輪流進行：{in_turn * 1000:.0f} 毫秒；預先擷取：{ahead * 1000:.0f} 毫秒")
figures.show_timeline(prepare_seconds, prepare_seconds)

# %% [markdown]
# ## 4. 什麼不能放進計算圖
#
# 你交給 `map` 的是 Python 函式，但相片流過時並沒有執行 Python。TensorFlow 只用替身呼叫你的函式一次，記下用了哪些運算，這就是
# **計算圖**。JAX 的 `jit` 也這樣做，Keras 的訓練步驟也是。不是運算的東西不會進入圖裡：它只在畫圖的時候發生一次。

# %%
import random as python_random


@tf.function
def brighten(value):
    print("Python 在這裡執行，只有一次")
    return value * python_random.uniform(0.5, 1.5), value * tf.random.uniform([], 0.5, 1.5)


for _ in range(3):
    frozen, fresh = brighten(tf.constant(1.0))
    print(f"Python 的隨機數：{frozen:.3f}；TensorFlow 的：{fresh:.3f}")

# %% [markdown]
# Python 的「隨機」數變成了常數。`tf.py_function` 是一道後門，真的會從圖裡呼叫 Python。在主機上行得通，只是慢，而且一次只能一個。TPU 上執行的
# 東西則沒有 Python 可以呼叫。在那裡，圖要先經過 **XLA** 這個編譯器，把一個步驟的所有運算變成晶片的一個程式。它不是什麼都能翻譯：不能有
# Python、不能有字串、大小也不能取決於資料。看它在你的 CPU 上拒絕：


# %%
@tf.function(jit_compile=True)  # 經過 XLA
def with_python(value):
    return tf.py_function(lambda x: x + 1, [value], tf.float32)


try:
    with_python(tf.constant(1.0))
except Exception as error:
    print(type(error).__name__, str(error).partition(" on ")[2][:120])

# %% [markdown]
# 這個限制只針對訓練步驟。輸入管道在主機的 CPU 上執行，TensorFlow 的所有運算都能用；前面的 `drop_remainder=True` 讓每個批次一樣大，XLA
# 才能只編譯一個程式，而不是兩個。
#
# XLA 的好處是什麼？沒有它，每個運算都要從記憶體讀出數字再寫回去。XLA 會把運算合併（融合）：數字讀一次，走完所有運算，寫一次。你不必自己呼叫：
# 在 TPU 上、用 JAX 時，一律會編譯；Keras 則有 `jit_compile`。


# %%
def several(x):
    for _ in range(8):
        x = tf.nn.relu(x * 1.01 + 0.01)
    return x


def seconds(work, times=5):
    work()  # 先暖身一次；XLA 在此編譯
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


values = tf.random.uniform((500_000 if quick else 4_000_000,))
with tf.device("/cpu:0"):
    plain, compiled = tf.function(several), tf.function(several, jit_compile=True)
    print(f"24 個運算逐一進行：{seconds(lambda: plain(values)) * 1000:.1f} 毫秒")
    print(f"由 XLA 合併：      {seconds(lambda: compiled(values)) * 1000:.1f} 毫秒")

# %% [markdown]
# **窄整數。** 像素是 0 到 255 的數字，一個位元組，也就是 uint8。存成 float32 要四個位元組。所以相片以 uint8 傳送，由網路的第一層在裝置上轉成
# 浮點數：

# %%
shape = (128, 192, 192, 3)
for kind in (np.uint8, np.float32):
    print(f"一個批次 {shape}，{kind.__name__:7} {np.zeros(shape, kind).nbytes / 1e6:6.1f} MB")
print("但不要用 uint8 計算：200 + 100 =", np.array([200], np.uint8) + np.uint8(100))

# %% [markdown]
# TPU 的向量處理器以 32 位元計算，int8 和 int16 在那裡會被放寬成 int32，就像原教材說的。但「沒有窄整數的硬體」這句話已經過時：較新的 TPU 的
# 矩陣單元能乘 int8（v5e 與 v6e 的速度約為 bfloat16 的兩倍），用於只做預測的網路；對訓練沒什麼用。
#
# ## 5. 矩陣單元
#
# 第 0 課說過，密集層就是矩陣乘法；把每個小區塊排成一列，卷積也是。網路的工作幾乎全是這種乘加運算。所以 TPU 的核心有兩部分：做矩陣乘法的
# **MXU**，以及負責其他一切（relu、softmax、正規化）的向量處理器 **VPU**。
#
# 乘積裡的一個數字，是一列乘一欄：

# %%
X = np.array([[1, 2, 0, 1], [3, 1, 2, 0], [0, 1, 1, 2], [2, 0, 1, 3]])  # 四張相片，四個輸入
W = np.array([[1, 0, 2, 1], [2, 1, 0, 1], [0, 3, 1, 0], [1, 1, 0, 2]])  # 四個神經元
print(
    "Y[2,0] =",
    " + ".join(f"{x}×{w}" for x, w in zip(X[2], W[:, 0], strict=True)),
    "=",
    X[2] @ W[:, 0],
)

# %% [markdown]
# 一般的處理器會從記憶體或暫存器取出兩個數字，相乘，相加，把和放回去；這個小小的乘積要做 64 次。**脈動陣列**不浪費時間存取。它是一個方陣，
# 每個單元只會一件事：把左邊來的數字乘上手中的權重，加上從上面來的和，再把數字往右傳、把和往下傳。（「脈動」原指心臟收縮：每跳一下，一切
# 前進一格。）跟著它走一遍：


# %%
def systolic(photos, weights):
    rows, inner, columns = *photos.shape, weights.shape[1]
    numbers, sums = np.zeros((inner, columns)), np.zeros((inner, columns))
    product = np.zeros((rows, columns))
    steps = rows + inner + columns - 2
    for step in range(steps):
        numbers[:, 1:] = numbers[:, :-1].copy()  # 每個數字往右一格
        for k in range(inner):  # 陣列的第 k 列晚 k 步開始
            photo = step - k
            numbers[k, 0] = photos[photo, k] if 0 <= photo < rows else 0
        sums[1:] = sums[:-1].copy()  # 每個和往下一格
        sums[0] = 0
        sums += numbers * weights  # 所有單元同時
        for n in range(columns):  # 算好的和由下方流出
            photo = step - n - (inner - 1)
            if 0 <= photo < rows:
                product[photo, n] = sums[-1, n]
    return product, steps


Y, steps = systolic(X, W)
print(f"與 X @ W 相同：{np.array_equal(Y, X @ W)}；共 {steps} 步")
figures.show_systolic(X, W, steps=(0, 3, 6))

# %% [markdown]
# 藍色的單元正在工作，橘色的數字已經算好。看看其他步驟，從 0 到 9。只有在中間，所有單元才都在工作：一開始數字還沒到齊，最後數字又已經離開。
#
# TPU 的矩陣單元是 128×128 的陣列，共 16,384 個單元（v6e 起為 256×256）。一顆晶片塞得下這麼多單元，是因為每個單元很小：不做別的事，而且只收 16 位元的數字。原教材
# 拿它和當時大型 GPU 的 4,000 個通用核心相比。這只說對一半：NVIDIA 的 GPU 從 2017 年起也有矩陣單元，較小但數量多，稱為 tensor core。
#
# **練習 3：單元有多忙？** `rows` 張相片通過 `side`×`side` 個單元。照上面的算法，整個乘積要 rows + side + side − 2 步，每個單元在其中 `rows` 步
# 工作。請傳回單元在工作的步數比例。


# %% tags=["exercise", "busy_share"]
def busy_share(rows, side):
    return ...


# %% tags=["check", "busy_share"]
checks.check_busy_share(busy_share)

# %% [markdown] tags=["solution", "busy_share"]
# <details><summary>參考解答</summary>
#
# ```python
# def busy_share(rows, side):
#     return rows / (rows + 2 * side - 2)
# ```
#
# </details>

# %%
for rows in (1, 8, 128, 1024, 8 * 24 * 24):
    print(f"{rows:5,} 列通過 128×128 個單元：{rows / (rows + 2 * 128 - 2):.0%} 的時間在工作")

# %% [markdown]
# 這就是硬體偏好大批次的原因：原教材說，每個核心 128 張相片最理想，8 張起就有不錯的效果。為什麼 8 張就夠？在卷積裡，相片的每個位置都是一列：
# 八張相片、每張 24×24 個位置，就是最後一行。（而且真正的陣列會在上一個乘積還沒流完時就接收下一個。）不是整數倍的部分會補零：5 個神經元的層
# 只用到 128 欄中的 5 欄。批次取 8 的倍數、較寬的層取 128 的倍數，浪費最少。
#
# ## 6. 十六個位元
#
# 位元少一半，記憶體少一半，傳輸量少一半，做乘法的電路更是小得多。但要留哪些位元？浮點數有一個符號，有指數（表示大小），有小數（表示各位數字）：

# %%
figures.show_bits({"float32": (8, 23), "bfloat16": (8, 7), "float16": (5, 10)})

# %%
kinds = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
for name, kind in kinds.items():
    limits = ml_dtypes.finfo(kind)
    print(
        f"{name:9} 最大 {float(limits.max):9.3g}   最小正規數 {float(limits.tiny):9.3g}",
        f"  1 之後的下一個數是 1 + {float(limits.eps):.1g}",
    )

# %%
with np.errstate(over="ignore"):
    for value in (1 / 3, 257.0, 1.001, 70_000.0, 3e-9, 1e30):
        told = "   ".join(f"{name} {float(kind(value)):<12.6g}" for name, kind in kinds.items())
        print(f"{value:<9.4g} {told}")

# %% [markdown]
# **float16** 的位數較多，但範圍很窄：70,000 太大（變成無限大，稱為溢位），3e-9 太小（變成零，稱為下溢）。梯度常常就是這麼小。**bfloat16** 的範圍和
# float32 相同，但只有兩到三位數：257 變成 256。網路少幾位數也沒關係，雜訊有時甚至有幫助；但受不了無限大，也受不了梯度消失成零。所以 Google
# 為 TPU 設計了 bfloat16。它就是截掉一半的 float32：
#
# **練習 4：做出 bfloat16。** `values` 是 float32 陣列。請傳回形狀相同的 float32 陣列，其中每個數字 32 個位元裡較低的 16 個都是 0：直接截掉，
# 不要捨入。`values.view(np.uint32)` 把同樣的位元當成整數來讀，`& 0xFFFF0000` 留下較高的 16 個位元，`.view(np.float32)` 再當成浮點數讀回來。


# %% tags=["exercise", "to_bfloat16"]
def to_bfloat16(values):
    return ...


# %% tags=["check", "to_bfloat16"]
checks.check_to_bfloat16(to_bfloat16)

# %% [markdown] tags=["solution", "to_bfloat16"]
# <details><summary>參考解答</summary>
#
# ```python
# def to_bfloat16(values):
#     return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
# ```
#
# 晶片則會捨入到最接近的數，平均起來才不會偏。
#
# </details>

# %% [markdown]
# 位數少，壞處在於大量相加：和很大時，小的數字再也加不進去。所以矩陣單元以 bfloat16 相乘，以 float32 相加。這就是**混合精確度**：

# %%
ones = np.ones(1000, ml_dtypes.bfloat16)
sum16, sum32 = ml_dtypes.bfloat16(0), np.float32(0)
for one in ones:
    sum16, sum32 = sum16 + one, sum32 + np.float32(one)
print(f"把 1 加 1,000 次：bfloat16 得 {float(sum16):.0f}，float32 得 {float(sum32):.0f}")

# %% [markdown]
# 那 float16 呢？2020 年以前的 GPU（例如 T4）只有它這一種快的 16 位元。辦法是「損失縮放」：把損失乘大，所有梯度也跟著變大，留在範圍內，走步之前
# 再除回來。bfloat16 完全不需要：

# %%
gradient, scale = 3e-9, 2.0**15
print(
    f"float16:{float(np.float16(gradient)):.3g};",
    f"乘以 {scale:,.0f} 再除回來：{float(np.float16(gradient * scale)) / scale:.3g}",
)
print(f"bfloat16，直接存：{float(ml_dtypes.bfloat16(gradient)):.3g}")

# %% [markdown]
# 在 Keras：建立模型之前先呼叫 `keras.config.set_dtype_policy("mixed_bfloat16")`；用 `mixed_float16` 時會自動加上 `LossScaleOptimizer`。在
# Fireweed 則是 `--precision`；沒指定時，它會選裝置擅長的精確度，並說明原因。
#
# ## 7. 多個裝置，一個批次
#
# 八個核心這樣一起學習：每個核心都有一份網路，稱為**複本**。批次分給各複本，各自算出自己那份的梯度，再對所有複本取平均，然後每個複本走同樣的
# 一步，所以各份網路始終相同。這就是**資料平行**訓練。大家分用的那個批次稱為**全域批次**：

# %%
training_photos = 2_990  # 原教材的花朵資料
for each in (8, 16, 32, 128):
    whole = each * 8
    print(
        f"每個複本 {each:3} 張 × 8 個複本 = 全域批次 {whole:5,}：",
        f"每週期 {-(-training_photos // whole):3} 步",
    )

# %% [markdown]
# 在 Keras，你給的批次大小就是全域批次，它會自動分配。批次越大，步數越少，所以學習率要跟著提高（SGD 按比例提高，開頭逐步上升）。Fireweed
# 會這樣做，並且告訴你。
#
# **練習 5：把許多梯度合成一個。** 每個複本給出自己那些相片的平均梯度。週期的最後一個批次可能分不平均：有的複本相片多，有的少。
# `gradients` 每個複本一列，形狀為 (複本數, 權重數)；`counts` 是各複本的相片數。請傳回所有相片的平均梯度，形狀為 `(權重數,)`。


# %% tags=["exercise", "combined"]
def combined(gradients, counts):
    return ...


# %% tags=["check", "combined"]
checks.check_combined(combined)

# %% [markdown] tags=["solution", "combined"]
# <details><summary>參考解答</summary>
#
# ```python
# def combined(gradients, counts):
#     return (gradients * counts[:, None]).sum(axis=0) / counts.sum()
# ```
#
# Keras 與 Fireweed 以權重達到同樣的效果：只用來補滿最後一批的相片，權重為 0。
#
# </details>

# %% [markdown]
# 把所有裝置的梯度相加，並讓每個裝置都得到總和，稱為 **all-reduce**。如果大家都把全部數字送給同一個裝置，那個裝置會被淹沒。排成「環」時，每個
# 裝置只和鄰居說話。梯度切成和裝置一樣多的段。第一輪的每一步傳出一段，收到的裝置加上自己的；經過「裝置數 − 1」步，每個裝置都有一段加總完成。
# 第二輪再把完成的各段傳一圈。


# %%
def ring_all_reduce(gradients):
    held = gradients.astype(float)  # (裝置, 段)：各裝置手上的數字
    devices = len(held)
    states = [held.copy()]
    for step in range(2 * (devices - 1)):
        before = held.copy()
        for device in range(devices):
            neighbour, piece = (device + 1) % devices, (device - step) % devices
            if step < devices - 1:  # 第一輪：相加
                held[neighbour, piece] += before[device, piece]
            else:  # 第二輪：分送
                held[neighbour, piece] = before[device, piece]
        states.append(held.copy())
    return states


gradients = np.array([[1, 2, 3, 4], [10, 20, 30, 40], [5, 5, 5, 5], [2, 1, 2, 1]])
states = ring_all_reduce(gradients)
figures.show_ring(states, steps=(0, 1, 3, 6))

# %% [markdown]
# **練習 6：每個裝置要送出多少？** 共有 `devices` 個裝置，每個裝置上有 `weights` 個梯度。一步送出一段，也就是 weights / devices 個數字；共兩輪，
# 每輪「裝置數 − 1」步。一個裝置總共送出多少個數字？


# %% tags=["exercise", "sent_numbers"]
def sent_numbers(devices, weights):
    return ...


# %% tags=["check", "sent_numbers"]
checks.check_sent_numbers(sent_numbers)

# %% [markdown] tags=["solution", "sent_numbers"]
# <details><summary>參考解答</summary>
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
        f"squeezenet，{weights:,} 個 4 位元組的數字，{devices:3} 個裝置：每步各送出 {sent:.2f} MB"
    )

# %% [markdown]
# TPU 的晶片就是為此接線的：每顆都連到鄰居，排成網格，邊緣再接回另一側（環面：兩個方向都是環，有些世代是三個方向），梯度同時沿各方向繞行。
# 由許多這種電路板組成的機器稱為 **TPU Pod**。它的演進如下，依據原教材與 2026 年 11 月的原廠網頁
# （[v5e](https://docs.cloud.google.com/tpu/docs/v5e)、[v6e](https://docs.cloud.google.com/tpu/docs/v6e)、[TPU7x](https://docs.cloud.google.com/tpu/docs/tpu7x)）：
#
# | | 一顆晶片 | 相連成 |
# |---|---|---|
# | v2（原教材所用） | 2 個核心，各有一個 128×128 的 MXU 和一個 VPU | 每板 4 顆晶片 = 8 個核心，經網路連線；Pod 最多 512 個核心 |
# | v3 | 2 個核心，各有兩個 MXU | Pod 最多 2,048 個核心 |
# | v5e | 1 個核心，四個 MXU、16 GB 記憶體 | 每台機器 1、4 或 8 顆晶片；Pod 最多 256 顆 |
# | v6e | 1 個核心，兩個 256×256 的 MXU、32 GB 記憶體 | 每台機器 1、4 或 8 顆晶片；Pod 最多 256 顆 |
# | TPU7x | 2 個核心，192 GB | 每台機器 4 顆晶片；Pod 最多 9,216 顆 |
#
# v2 的電路板裝在另一台機器裡，筆記本要透過網路連過去（`TPU_NAME` 和 `TPUClusterResolver` 就是為此而設）。如今你的程式直接在插著晶片的那台
# 機器上執行。
#
# ## 8. 桌上的八個裝置
#
# 沒有 TPU 也能試：JAX 可以把一個 CPU 當成八個裝置。這個開關在 JAX 啟動時讀取，所以我們另外啟動一個小程式。它用同樣的批次訓練同樣的網路，先用
# 一個裝置，再用八個。`DataParallel` 會分配每個批次，XLA 會把 all-reduce 放進編譯好的步驟裡：網路和訓練程式都不必知道。

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
eight, _ = losses(8, weights)  # 從相同的權重開始
print(json.dumps({"devices": len(keras.distribution.list_devices()), "one": one, "eight": eight}))
"""
(folder / "eight.py").write_text(program)
small = np.stack(squares)[:, ::2, ::2]  # 每隔一個像素取一個
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
print(f"{told['devices']} 個裝置；{len(told['one'])} 步；損失相差至多 {apart:.1g}：只是捨入")
figures.show_same_losses(told["one"], told["eight"], devices=8)

# %% [markdown]
# 損失相同：八個裝置算出的，就是一個裝置會算出的。（連正規化的平均與離散程度，也是整個批次的。）速度沒有變快，因為你的 CPU 並沒有變成八個。
# Fireweed 可以代勞：`fireweed train --data drawn --backend jax --device cpu --devices 8`；機器上有多個 TPU 或 GPU 時，不必要求就會這樣做。
#
# 原教材用 `TPUClusterResolver` 找到機器，並在 `TPUStrategy` 的 scope 裡訓練。那是 TensorFlow 的做法，在 TPU 上到 2.19 版為止；如今 Keras 透過
# JAX 使用 TPU。想法沒有變：先說明工作怎麼分，再建立模型，然後照常 `fit`。有多個 GPU 時，`tf.distribute.MirroredStrategy` 仍然可用。
#
# ## 9. 極大的批次：LARS
#
# 機器越大，全域批次就越大，學習率也要跟著變大。到了某個程度，訓練會崩潰。原因在各層：一步是「學習率 × 梯度」，它和所要改變的權重相比有多大，
# 每層都不同。適合這一層的學習率，會讓另一層爆掉。**LARS**（逐層自適應學習率，You 等人，[2017](https://arxiv.org/abs/1708.03888)）替每一層
# 量出權重和梯度的大小，再縮放步伐，讓每一層都移動自身大小的相同比例。靠著它，ResNet-50 用 32,768 張的批次訓練而準確率不減。下面用同樣的相片
# 和同樣的網路（第 3 課要建的那一類），讓兩種最佳化工具各走一步：

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
# 用 LARS 時，每一層都移動自身大小的「學習率 × trust」= 1%。這一課的批次只有幾十到幾百張，SGD 或 Adam 就夠了；在 Fireweed 是
# `--set training.optimizer=lars`。
#
# ## 10. 哪裡用得到
#
# 以下是 2026 年 11 月的情形；這類方案常常改變，本專案也只試過其中少數（[試過什麼](../../docs/devices.md)）。
#
# | 在哪裡 | 有什麼 | 怎麼選 |
# |---|---|---|
# | Colab 免費 | TPU v5e（一顆晶片）；GPU T4；有空位時可用幾個小時 | 「執行階段」>「變更執行階段類型」 |
# | Colab 付費 | TPU v6e（一顆晶片）；GPU L4、A100、G4（RTX PRO 6000）、H100 | 同一個選單 |
# | Kaggle 免費 | TPU v5e-8，八顆晶片；兩個 T4 GPU；每週有時數上限 | Settings > Accelerator；帳號要先驗證電話 |
# | Google Cloud | TPU v5e 到 TPU7x，從一顆晶片到整個 Pod；多種 GPU | 虛擬機器、Kubernetes 叢集、訓練工作 |
# | 自己的機器 | NVIDIA GPU | 在複製下來的專案裡 `pip install '.[cuda]'` |
#
# 原教材的 TPU v2-8 已經不在 Colab 了；想一次用八顆晶片，Kaggle 有。自己的 TPU 機器請安裝 `'.[tpu]'`（Colab 與 Kaggle 已備有支援 TPU 的 JAX）。T4 沒有 bfloat16，Fireweed 會改用 float16
# 加上損失縮放。在 Google Cloud 上，要一台有八顆 v5e 晶片的機器：
#
# ```
# gcloud compute tpus tpu-vm create NAME --zone=ZONE --accelerator-type=v5litepod-8 --version=v2-alpha-tpuv5-lite
# gcloud compute tpus tpu-vm ssh NAME --zone=ZONE
# gcloud compute tpus tpu-vm delete NAME --zone=ZONE
# ```
#
# 別忘了最後一行：它是按小時計費的。這個介面[不再支援新的晶片](https://docs.cloud.google.com/tpu/docs/create-tpu-vm)；從 TPU7x 起，TPU 是 Compute Engine 與 Kubernetes 的機器類型。原教材所說的
# AI Platform（筆記本與訓練工作）已經停用（訓練工作在 2025 年 1 月結束）；接替它的是 Vertex AI，自 2026 年起改稱 Gemini Enterprise Agent
# Platform。
#
# 不論你用的是什麼機器，這會告訴你有什麼裝置、訓練會用哪一個：

# %%
from fireweed.devices import choose_device

choice = choose_device()
print(f"種類：{choice.kind}；後端：{choice.backend}")
print("在終端機：fireweed devices；加上 --check 會做一次簡短的訓練，先用一個裝置，再用全部")

# %% [markdown]
# **私人值區裡的相片。** 公開值區裡的分片不必登入就能讀。私人的則要讓程式知道你是誰，而且你要有讀取權限（角色「Storage 物件檢視者」）：
#
# * 在 Colab：程式呼叫的 `authenticate_user` 會開啟視窗，讓你選擇帳號；
# * 在 Kaggle：先在 Add-ons > Google Cloud SDK 連結一次 Google 帳號；下面的程式會從那裡取得憑證；
# * 在 Google Cloud 的機器上：使用該機器的服務帳戶，請把角色授予它；
# * 在自己的機器上：執行一次 `gcloud auth application-default login`。
#
# 之後就能用 `fireweed train --data 'gs://BUCKET/shards/*.tfrec'`。沒有權限時，Fireweed 會用一行話告訴你。


# %%
def sign_in():
    """在 Colab 或 Kaggle 登入 Google；在別處則說明怎麼做。"""
    if importlib.util.find_spec("google.colab") is not None:
        from google.colab import auth

        auth.authenticate_user()
        return "已在 Colab 登入"
    if importlib.util.find_spec("kaggle_secrets") is not None:
        from kaggle_secrets import UserSecretsClient

        secrets = UserSecretsClient()
        secrets.set_tensorflow_credential(secrets.get_gcloud_credential())
        return "已在 Kaggle 登入"
    return "在終端機：gcloud auth application-default login"


BUCKET = ""  # 例如 "gs://my-bucket/shards/*.tfrec"
if BUCKET:
    print(sign_in())
    print(len(fw.open_data(BUCKET).photos), "張相片，位於", BUCKET)

# %% [markdown]
# ## 接下來試試
#
# * 在第 1 節設 `SIDE = 32`。哪些階段變快了？現在的瓶頸是哪一個？
# * 在第 3 節替沒有 `num_parallel_calls` 的管道計時，再試試只用一個分片。
# * 在第 5 節給 `systolic` 八張相片，而不是四張。要走幾步？
# * 在第 6 節：float16 存不下的最小正整數是多少？bfloat16 呢？
# * 在第 8 節讓程式用 2 個或 4 個裝置訓練。批次是 60（8 除不盡）時會怎樣？
# * 在第 9 節讓 SGD 的學習率為 1：每一層移動多少？
#
# 下一課：[第 3 課：SqueezeNet](3_squeezenet.ipynb)：用 fire 模組組成、達到原教材目標的網路。
