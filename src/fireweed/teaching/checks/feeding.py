"""The checks of lab 2: a record read, a pipeline's rate, units at work, bfloat16, shares of a batch, all-reduce."""

from typing import Any

import numpy as np

from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers, refuse, returned


@check
def check_read_record(read_record: Reader) -> str:
    """Check `read_record(record)`: a serialized tf.train.Example to its photo, uint8 RGB, and its class, int64."""
    from fireweed.devices.backends import tensorflow

    tf = tensorflow()
    random = np.random.default_rng(2)
    for height, width, channels, label in ((6, 8, 3, 2), (8, 8, 3, 4), (5, 7, 1, 0)):
        photo = random.integers(0, 256, (height, width, channels)).astype(np.uint8)
        jpeg = tf.io.encode_jpeg(photo, quality=95).numpy()
        record = _record(tf, jpeg, label, height, width)
        right = tf.io.decode_jpeg(jpeg, channels=3).numpy()
        _check_record(returned(read_record, tf.constant(record)), right, label, is_grey=channels == 1)
        mapped = tf.data.Dataset.from_tensors(record)
        try:
            in_graph = returned(lambda mapped=mapped: next(iter(mapped.map(read_record))))
        except NotYetError as error:
            raise NotYetError(
                "it works on its own, but not in the graph of tf.data, where numbers are not known yet: "
                "use TensorFlow's operations only, no .numpy() and no np",
                "單獨執行沒問題，放進 tf.data 的圖裡就不行，因為那時還不知道數字："
                "只能用 TensorFlow 的運算，不能用 .numpy() 或 np",
            ) from error
        _check_record(in_graph, right, label, is_grey=channels == 1)
    return pick(
        "also in the graph of tf.data, and a grey JPEG gets its three channels too",
        "在 tf.data 的圖裡也能執行，灰階 JPEG 也會得到三個通道",
    )


def _check_record(answer: Any, right: np.ndarray, label: int, is_grey: bool) -> None:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYetError(
            "two things are expected back: `return photo, label`", "應該傳回兩樣東西：`return photo, label`"
        )
    photo, found = (np.asarray(part) for part in answer)
    if photo.dtype.kind in "OSU":
        raise NotYetError(
            "the photo is still JPEG bytes; tf.io.decode_jpeg makes pixels of them",
            "相片還是 JPEG 位元組；用 tf.io.decode_jpeg 解碼成像素",
        )
    if photo.shape != right.shape:
        hint = pick("; `channels=3` makes RGB of grey JPEGs too", "；`channels=3` 會把灰階 JPEG 也變成 RGB") * is_grey
        raise NotYetError(
            f"the photo should have the shape {right.shape}, but yours has {photo.shape}{hint}",
            f"相片的形狀應該是 {right.shape}，但你的是 {photo.shape}{hint}",
        )
    if photo.dtype != np.uint8:
        raise NotYetError(
            f"the photo should stay uint8, a byte a number; yours is {photo.dtype}. Scaling is the net's work",
            f"相片應該維持 uint8，每個數字一個位元組；你的是 {photo.dtype}。縮放是網路的工作",
        )
    if not np.array_equal(photo, right):
        raise NotYetError("the pixels are not those of the record", "像素和記錄裡的不同")
    if found.shape != () or found.dtype.kind not in "iu":
        raise NotYetError(
            "the label should be one whole number, the feature 'class'", "標籤應該是一個整數，也就是特徵 'class'"
        )
    if int(found) != label:
        raise NotYetError(
            f"the record's class is {label}, but you read {int(found)}", f"記錄的類別是 {label}，但你讀到 {int(found)}"
        )


def _record(tf: Any, jpeg: bytes, label: int, height: int, width: int) -> bytes:
    """Return a record as the codelab's shards hold them: more features than the reader needs."""
    feature, whole = tf.train.Feature, tf.train.Int64List
    features = {
        "image": feature(bytes_list=tf.train.BytesList(value=[jpeg])),
        "class": feature(int64_list=whole(value=[label])),
        "label": feature(bytes_list=tf.train.BytesList(value=[f"flower {label}".encode()])),
        "size": feature(int64_list=whole(value=[height, width])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@check
def check_pipeline_rate(pipeline_rate: Reader) -> str:
    """Check `pipeline_rate(rates, at_once)`: photos/s of stages one after the other, or all at once."""
    for rates in ([200.0, 50.0, 1000.0], [30.0, 60.0, 20.0], [100.0, 100.0]):
        stages = np.array(rates)
        in_turn, together = 1 / (1 / stages).sum(), stages.min()
        for at_once, right in ((False, in_turn), (True, together)):
            found = float(numbers(pipeline_rate, stages.copy(), at_once, shape=()))
            if close(found, right):
                continue
            english = f"stages of {rates} photos/s with at_once={at_once} make {right:.4g}; you say {found:.4g}"
            chinese = f"各階段每秒 {rates} 張、at_once={at_once} 時為 {right:.4g}；你的答案是 {found:.4g}"
            if close(found, together):
                raise NotYetError(
                    f"{english}. In turn, the seconds that a photo spends in each stage (1 / rate) add up",
                    f"{chinese}。輪流進行時，一張相片在各階段花的秒數（1 / 速率）要相加",
                )
            if close(found, in_turn):
                raise NotYetError(
                    f"{english}. All at once, only the slowest stage counts", f"{chinese}。同時進行時，只看最慢的階段"
                )
            if close(found, stages.mean()) or close(found, stages.sum()):
                raise NotYetError(
                    f"{english}. Rates of stages in a row neither add up nor average",
                    f"{chinese}。前後相接的階段，速率不能相加，也不能取平均",
                )
            raise NotYetError(english, chinese)
    return pick("in turn the seconds add up; at once the slowest decides", "輪流進行時秒數相加；同時進行時由最慢的決定")


@check
def check_busy_share(busy_share: Reader) -> str:
    """Check `busy_share(rows, side)`: the share of a systolic array's time in which a unit has a number to work on."""
    for rows, side in ((4, 4), (8, 128), (128, 128), (4096, 128), (1, 1)):
        found = float(numbers(busy_share, rows, side, shape=()))
        right = rows / (rows + 2 * side - 2)
        if close(found, right):
            continue
        english = f"{rows} rows through {side} by {side} units keep each at work {right:.2%} of the time"
        english += f"; you say {found:.2%}"
        chinese = f"{rows} 列通過 {side}×{side} 個單元時，每個單元有 {right:.2%} 的時間在工作；你的答案是 {found:.2%}"
        if close(found, rows):
            raise NotYetError(
                f"{english}. Divide by the number of steps: a share is at most 1",
                f"{chinese}。要除以步數：比例不超過 1",
            )
        hints = (
            (
                rows / (rows + side - 1),
                "The last number also has to come down through the rows below",
                "最後一個數字還要往下走完剩下的列",
            ),
            (
                rows / (rows + 2 * side),
                "Count the steps once more: with one unit, side 1, no step is lost",
                "再數一次步數：只有一個單元（side 為 1）時，一步也不浪費",
            ),
            (
                rows / (rows + 2 * side - 1),
                "Count the steps once more: with one unit, side 1, no step is lost",
                "再數一次步數：只有一個單元（side 為 1）時，一步也不浪費",
            ),
        )
        refuse(found, english, chinese, hints)
    return pick("many rows keep the units busy, few leave them waiting", "列數多，單元就忙；列數少，單元多半在等")


@check
def check_to_bfloat16(to_bfloat16: Reader) -> str:
    """Check `to_bfloat16(values)`: float32 numbers cut to their upper 16 bits, as float32 of the same shape."""
    import ml_dtypes

    for given in ([1.0, -2.5, 0.0], [1 / 3, 257.0, 259.0], [3.4e38, 1e-38, -70000.0]):
        values = np.array(given, np.float32)
        found = numbers(to_bfloat16, values, shape=values.shape)
        right = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
        if np.array_equal(found, right):
            continue
        english = f"of {values.tolist()} {right.tolist()} is left, but yours are {found.tolist()}"
        chinese = f"{values.tolist()} 應剩下 {right.tolist()}，但你的是 {found.tolist()}"
        with np.errstate(over="ignore"):
            as_float16 = values.astype(np.float16).astype(np.float64)
        hints = (
            (
                values.astype(ml_dtypes.bfloat16).astype(np.float64),
                "You round, as chips do; here the lower bits are cut off",
                "你做了捨入（晶片就是這樣做）；這裡要直接截掉較低的位元",
            ),
            (as_float16, "That is float16, with fewer bits for the exponent", "那是 float16，指數的位元較少"),
            (
                values.astype(np.float64),
                "Nothing is cut: set the lower 16 bits to 0 with `& 0xFFFF0000`",
                "什麼都沒截掉：用 `& 0xFFFF0000` 把較低的 16 個位元設為 0",
            ),
            (
                (values.view(np.uint32) & np.uint32(0xFFFF)).view(np.float32).astype(np.float64),
                "You keep the lower half; the upper one has sign and exponent",
                "你留下的是較低的一半；符號和指數在較高的一半",
            ),
        )
        for wrong, hint, chinese_hint in hints:
            if np.array_equal(found, wrong):
                raise NotYetError(f"{english}. {hint}", f"{chinese}。{chinese_hint}")
        if (found > 1e6).any() and (right < 1e6).all():
            raise NotYetError(
                f"{english}. These are bits read as a whole number: end with `.view(np.float32)`",
                f"{chinese}。這是把位元當成整數讀了：最後要用 `.view(np.float32)`",
            )
        raise NotYetError(english, chinese)
    return pick(
        "the same sign, the same exponent, and 7 of 23 bits of the fraction",
        "符號不變、指數不變，小數的 23 個位元留下 7 個",
    )


@check
def check_combined(combined: Reader) -> str:
    """Check `combined(gradients, counts)`: of replicas' means, (replicas, weights), the mean over all their photos."""
    for gradients, counts in (
        ([[1.0, 2.0], [3.0, 6.0]], [4, 4]),
        ([[1.0, 0.0], [2.0, 4.0], [6.0, -2.0]], [8, 8, 2]),
        ([[4.0], [8.0], [1.0], [0.0]], [16, 16, 16, 1]),
    ):
        each, photos = np.array(gradients), np.array(counts)
        found = numbers(combined, each, photos, shape=each.shape[1:])
        total = (each * photos[:, None]).sum(axis=0)
        right = total / photos.sum()
        if close(found, right):
            continue
        english = f"gradients {gradients} of {counts} photos make {right.round(4).tolist()}"
        english += f"; yours is {found.round(4).tolist()}"
        chinese = f"{counts} 張相片的梯度 {gradients} 合起來是 {right.round(4).tolist()}；"
        chinese += f"你的是 {found.round(4).tolist()}"
        hints = (
            (
                each.mean(axis=0),
                "A replica with few photos counts as much as one with many",
                "相片少的複本和相片多的算得一樣重",
            ),
            (
                each.sum(axis=0),
                "That is the sum; the learning rate was meant for a mean",
                "那是總和；學習率是為平均而設的",
            ),
            (total, "Divide by the number of all photos", "還要除以全部相片數"),
            (
                each.sum(axis=0) / photos.sum(),
                "These are means already: weigh each by the number of its photos before you add up",
                "這些已經是平均：相加之前，要先各乘上自己的相片數",
            ),
            (total / len(photos), "Divide by the number of photos, not of replicas", "要除以相片數，不是複本數"),
        )
        refuse(found, english, chinese, hints)
    return pick(
        "the gradient of the whole batch, whoever computed which part of it",
        "這就是整個批次的梯度，不論哪個複本算了哪一部分",
    )


@check
def check_sent_numbers(sent_numbers: Reader) -> str:
    """Check `sent_numbers(devices, weights)`: how many numbers each device sends in an all-reduce on a ring."""
    for devices, weights in ((5, 1000), (8, 120_000), (2, 100), (256, 25_600)):
        found = float(numbers(sent_numbers, devices, weights, shape=()))
        right = 2 * (devices - 1) * weights / devices
        if close(found, right):
            continue
        english = f"of {devices} devices with {weights:,} gradients each sends {right:,.0f}; you say {found:,.0f}"
        chinese = f"{devices} 個裝置、{weights:,} 個梯度時，每個裝置送出 {right:,.0f} 個；你的答案是 {found:,.0f}"
        hints = (
            (
                right / 2,
                "There are two rounds: one adds up, one hands out the sums",
                "共有兩輪：一輪相加，一輪分送總和",
            ),
            (
                (devices - 1) * weights,
                "A step sends one piece of the gradients, not all of them",
                "一步只送出梯度的一段，不是全部",
            ),
            (
                2 * (devices - 1) * weights,
                "A step sends one piece of the gradients, not all of them",
                "一步只送出梯度的一段，不是全部",
            ),
            (2 * weights, "A round has one step less than there are devices", "每一輪的步數比裝置數少一"),
        )
        refuse(found, english, chinese, hints)
    return pick(
        "hardly more with 256 devices than with 8: that is what the ring is for",
        "256 個裝置也不會比 8 個多送多少：這正是環的用處",
    )
