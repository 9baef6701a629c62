"""The codelab's nets in plain PyTorch: the same layers and weights, channel counts first."""

import torch
from torch import nn
from torch.nn import functional as F


def build(net: str, classes: int = 5) -> nn.Module:
    """Return the codelab's SqueezeNet or Xception; photos (batch, 3, side, side) in 0..1, to logits."""
    return {"squeezenet": SqueezeNet, "xception": Xception}[net](classes)


def count_parameters(net: nn.Module) -> int:
    """Return the weights and norm statistics, as Keras counts them."""
    statistics = sum(b.numel() for name, b in net.named_buffers() if name.endswith(("running_mean", "running_var")))
    return sum(p.numel() for p in net.parameters()) + statistics


def multiply_adds(net: nn.Module, side_px: int) -> int:
    """Return the products of convolutions and dense layers for one photo, counted while one goes through."""
    total = 0

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += layer.weight.numel() * (output.shape[2] * output.shape[3] if output.ndim == 4 else 1)

    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    was_training = net.training
    net.eval()
    with torch.no_grad():
        net(torch.zeros(1, 3, side_px, side_px))
    net.train(was_training)
    for hook in hooks:
        hook.remove()
    return total


class Conv(nn.Module):
    """Convolution, relu, norm: the codelab's order."""

    def __init__(self, inputs: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, filters, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(filters, momentum=0.1, eps=1e-3)

    def forward(self, x):
        return self.norm(F.relu(self.conv(x)))


class Fire(nn.Module):
    """Squeeze by 1x1, expand by 1x1 beside 3x3."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = Conv(inputs, squeeze, 1)
        self.expand1 = Conv(squeeze, expand // 2, 1)
        self.expand3 = Conv(squeeze, expand // 2, 3)

    def forward(self, x):
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


class SqueezeNet(nn.Module):
    """The codelab's: 120,613 parameters for 5 classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv(3, 32, 3), Fire(32, 24, 48), nn.MaxPool2d(2), Fire(48, 48, 96), nn.MaxPool2d(2), Fire(96, 64, 128),
            nn.MaxPool2d(2), Fire(128, 48, 96), nn.MaxPool2d(2), Fire(96, 24, 48),
        )  # fmt: skip
        self.classes = nn.Linear(48, classes)

    def forward(self, x):
        return self.classes(self.features(x).mean((2, 3)))


class Separable(nn.Module):
    """A 3x3 filter for each channel, 1x1, norm."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, filters, 1, bias=False)
        self.norm = nn.BatchNorm2d(filters, momentum=0.01, eps=1e-3)

    def forward(self, x):
        return self.norm(self.pointwise(self.depthwise(x)))


class Halving(nn.Module):
    """Two separable convolutions and a max-pool beside a 1x1 shortcut of stride 2."""

    def __init__(self, inputs: int, middle: int, filters: int, begins_with_relu: bool = True) -> None:
        super().__init__()
        self.begins_with_relu = begins_with_relu
        self.first, self.second = Separable(inputs, middle), Separable(middle, filters)
        self.shortcut = nn.Conv2d(inputs, filters, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(filters, momentum=0.01, eps=1e-3)

    def forward(self, x):
        y = self.first(F.relu(x) if self.begins_with_relu else x)
        y = F.max_pool2d(self.second(F.relu(y)), 3, 2, 1)
        return y + self.shortcut_norm(self.shortcut(x))


class Middle(nn.Module):
    """Three separable convolutions beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[part for _ in range(3) for part in (nn.ReLU(), Separable(728, 728))])

    def forward(self, x):
        return x + self.layers(x)


class Xception(nn.Module):
    """Chollet's net, arXiv 1610.02357, figure 5, layer by layer as keras.applications has it."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, momentum=0.01, eps=1e-3), nn.ReLU(),
            nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64, momentum=0.01, eps=1e-3), nn.ReLU(),
        )  # fmt: skip
        self.entry = nn.Sequential(Halving(64, 128, 128, False), Halving(128, 256, 256), Halving(256, 728, 728))
        self.middle = nn.Sequential(*[Middle() for _ in range(8)])
        self.exit = nn.Sequential(Halving(728, 728, 1024), Separable(1024, 1536), nn.ReLU(), Separable(1536, 2048),
                                  nn.ReLU())  # fmt: skip
        self.classes = nn.Linear(2048, classes)

    def forward(self, x):
        x = self.exit(self.middle(self.entry(self.stem(x * 2 - 1))))
        return self.classes(x.mean((2, 3)))
