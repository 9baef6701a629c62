"""The checks of lab 0: a neuron, its number of weights, softmax, cross-entropy, a step with momentum."""

import numpy as np

from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers, refuse, returned


@check
def check_neuron(neuron: Reader) -> str:
    """Check `neuron(inputs, weights, bias)`: relu of the weighted sum and the bias, one number."""
    for inputs, weights, bias in (
        ([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], 1.0),
        ([1.0, 2.0], [1.0, -2.0], 1.0),
        ([2.0, 1.0], [-1.0, -1.0], 4.0),
        ([0.5, -1.0, 2.0, 0.0], [1.0, 0.5, 0.25, 9.0], 0.0),
    ):
        x, w = np.array(inputs), np.array(weights)
        found = float(numbers(neuron, x, w, bias, shape=()))
        total = float(x @ w) + bias
        if close(found, max(total, 0.0)):
            continue
        english = f"inputs {x}, weights {w} and bias {bias:g} give {max(total, 0.0):g}, but your answer is {found:g}"
        chinese = f"輸入 {x}、權重 {w}、偏差 {bias:g} 應得到 {max(total, 0.0):g}，但你的答案是 {found:g}"
        if close(found, total):
            raise NotYetError(f"{english}. Relu lets nothing below 0 through", f"{chinese}。relu 不讓小於 0 的值通過")
        if close(found, max(float(x @ w), 0.0)):
            raise NotYetError(f"{english}. Is the bias added?", f"{chinese}。偏差加進去了嗎？")
        if close(found, max(float(x @ w), 0.0) + bias):
            raise NotYetError(f"{english}. The bias belongs before relu", f"{chinese}。偏差要在 relu 之前加")
        if close(found, 1 / (1 + np.exp(-total))):
            raise NotYetError(f"{english}. That is sigmoid; use relu here", f"{chinese}。這是 sigmoid；這裡請用 relu")
        raise NotYetError(english, chinese)
    return pick(
        "that is a whole neuron; a net has nothing cleverer in it", "這就是一個完整的神經元，網路裡沒有更高深的東西了"
    )


@check
def check_dense_weights(dense_weights: Reader) -> str:
    """Check `dense_weights(inputs, neurons)`: how many numbers a dense layer learns, biases included."""
    for inputs, neurons in ((4, 3), (12_288, 500), (500, 50), (1, 1)):
        found = float(numbers(dense_weights, inputs, neurons, shape=()))
        right = inputs * neurons + neurons
        if close(found, right):
            continue
        english = f"{inputs:,} inputs and {neurons:,} neurons make {right:,} numbers, but you count {found:,.0f}"
        chinese = f"{inputs:,} 個輸入、{neurons:,} 個神經元共有 {right:,} 個數字，但你算出 {found:,.0f}"
        if close(found, inputs * neurons):
            raise NotYetError(f"{english}. Each neuron has a bias too", f"{chinese}。每個神經元還有一個偏差")
        if close(found, inputs * neurons + inputs):
            raise NotYetError(f"{english}. The biases belong to the neurons", f"{chinese}。偏差屬於神經元")
        if close(found, inputs * neurons + 1):
            raise NotYetError(
                f"{english}. Not one bias for all, but one a neuron", f"{chinese}。偏差不是共用一個，而是每個神經元一個"
            )
        raise NotYetError(english, chinese)
    return pick(
        "each neuron has a weight for every input, and one bias", "每個神經元對每個輸入各有一個權重，外加一個偏差"
    )


@check
def check_softmax(softmax: Reader) -> str:
    """Check `softmax(logits)`: rows of logits, (photos, classes), to rows of probabilities."""
    for logits in ([[1.0, 2.0, 3.0]], [[0.0, 0.0], [1.0, -1.0]], [[3.0, 1.0, 0.2], [-2.0, 0.0, 5.0]]):
        x = np.array(logits)
        found = numbers(softmax, x, shape=x.shape)
        _check_probabilities(x, found)
    large = np.array([[1000.0, 999.0], [-1000.0, -1001.0], [1000.0, -1000.0]])
    found = numbers(softmax, large, shape=large.shape)
    if not np.isfinite(found).all():
        raise NotYetError(
            "right for small logits, but logits of 1000 give 'not a number': exp(1000) is too large for a computer. "
            "Take the largest logit of each row away from the row first; the shares stay the same",
            "logits 小時正確，但 logits 為 1000 時得到「不是數字」：exp(1000) 大到電腦"
            "存不下。先讓每一列減去該列最大的 logit，比例不變",
        )
    _check_probabilities(large, found)
    return pick("rows of probabilities, and no logit is too large for it", "每一列都是機率，而且再大的 logit 也不怕")


def _check_probabilities(logits: np.ndarray, found: np.ndarray) -> None:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    right = powers / powers.sum(axis=1, keepdims=True)
    if close(found, right):
        return
    english, chinese = f"for logits {logits.tolist()}", f"logits 為 {logits.tolist()} 時"
    if len(logits) > 1 and close(found.sum(), 1.0):
        raise NotYetError(
            f"{english} the whole batch adds up to 1; each photo's own row should (axis=1, keepdims=True)",
            f"{chinese}，整個批次加起來是 1；應該是每張相片自己的那一列加起來是 1(axis=1, keepdims=True)",
        )
    if not close(found.sum(axis=1), 1.0):
        raise NotYetError(
            f"{english} the rows add up to {np.round(found.sum(axis=1), 3).tolist()}, and probabilities add up to 1",
            f"{chinese}，各列的和為 {np.round(found.sum(axis=1), 3).tolist()}，機率的和應該是 1",
        )
    raise NotYetError(
        f"{english} softmax gives {np.round(right, 3).tolist()}, but yours {np.round(found, 3).tolist()}; "
        "powers of e (np.exp) come before the division",
        f"{chinese}，softmax 應得到 {np.round(right, 3).tolist()}，但你的是 "
        f"{np.round(found, 3).tolist()}；要先取 e 的次方（np.exp）再相除",
    )


@check
def check_cross_entropy(cross_entropy: Reader) -> str:
    """Check `cross_entropy(probabilities, one_hot)`: the mean loss of a batch, one number."""
    random = np.random.default_rng(3)
    for photos, classes in ((4, 5), (3, 3), (6, 2)):
        probabilities = random.dirichlet(np.ones(classes), photos)
        one_hot = np.eye(classes)[random.integers(0, classes, photos)]
        found = float(numbers(cross_entropy, probabilities, one_hot, shape=()))
        each = -np.log((probabilities * one_hot).sum(axis=1))
        if close(found, each.mean()):
            continue
        english = f"for {photos} photos the loss is {each.mean():.4f}, but yours is {found:.4f}"
        chinese = f"{photos} 張相片的損失應為 {each.mean():.4f}，但你的是 {found:.4f}"
        hints = (
            (-each.mean(),
                "The sign is turned: a logarithm of a "
                "share is negative, a loss is not", "正負號反了：小於 1 的數取對數是負的，損失不是"),
            (each.sum(), "That is the sum over the photos; take the mean", "這是所有相片的總和，請取平均"),
            (each.mean() / classes,
                "You divide by the number of classes too; add up within "
                "a row, then take the mean of the rows", "你連類別數也除了；請在列內相加，再對各列取平均"),
            (each.mean() / np.log(2), "Take the natural logarithm, np.log", "請用自然對數 np.log"),
            (each.mean() / np.log(10), "Take the natural logarithm, np.log", "請用自然對數 np.log"),
        )  # fmt: skip
        refuse(found, english, chinese, hints)
    return pick(
        "only the probability of the right class counts, averaged over the photos", "只看正確類別的機率，再對相片取平均"
    )


@check
def check_momentum(step: Reader) -> str:
    """Check `step(position, velocity, gradient, learning_rate, momentum)`: returns the new position and velocity."""
    position, velocity = np.array([1.0, -2.0]), np.zeros(2)
    mine, speed = position.copy(), velocity.copy()
    for number, gradient in enumerate(([0.5, 1.0], [0.5, -1.0], [0.0, 0.0]), start=1):
        slope = np.array(gradient)
        speed = 0.9 * speed - 0.1 * slope
        mine = mine + speed
        pair = returned(step, position, velocity, slope, 0.1, 0.9)
        if isinstance(pair, np.ndarray) and pair.shape == (2, 2):
            pair = tuple(pair)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise NotYetError(
                "two things are expected back: `return new_position, new_velocity`",
                "應該傳回兩樣東西：`return new_position, new_velocity`",
            )
        position = numbers(lambda pair=pair: pair[0], shape=(2,))
        velocity = numbers(lambda pair=pair: pair[1], shape=(2,))
        _check_step(number, position, velocity, mine, speed, slope)
    return pick(
        "where the gradient is zero, it glides on: the last of the checked steps had none",
        "梯度為零時仍會滑行：最後檢查的那一步就沒有梯度",
    )


def _check_step(
    number: int, position: np.ndarray, velocity: np.ndarray, mine: np.ndarray, speed: np.ndarray, slope: np.ndarray
) -> None:
    if close(position, mine) and close(velocity, speed):
        return
    english = f"after step {number} the position is {mine.round(3)} and the velocity {speed.round(3)}; yours are "
    english += f"{position.round(3)} and {velocity.round(3)}"
    chinese = f"第 {number} 步之後，位置應為 {mine.round(3)}，速度應為 {speed.round(3)}；"
    chinese += f"你的是 {position.round(3)} 與 {velocity.round(3)}"
    if number == 1 and close(velocity, -speed):
        raise NotYetError(
            f"{english}. The gradient points uphill: go against it", f"{chinese}。梯度指向上坡，要往反方向走"
        )
    if number > 1 and close(velocity, -0.1 * slope):
        raise NotYetError(
            f"{english}. The old velocity is forgotten: momentum keeps 0.9 of it",
            f"{chinese}。舊的速度不見了：動量會保留其中的 0.9",
        )
    if close(velocity, speed):
        raise NotYetError(f"{english}. Move by the new velocity", f"{chinese}。請依新的速度移動")
    raise NotYetError(english, chinese)
