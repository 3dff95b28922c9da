"""CROWN: linear functions of the outputs, pulled back through the layers as linear functions.

Zhang, Weng, Chen, Hsieh and Daniel (2018), "Efficient neural network robustness certification with
general activation functions", arXiv:1811.00866; with interval bounds inside, Zhang, Chen, Xiao,
Gowal, Stanforth, Li, Boning and Hsieh (2020), "Towards stable and efficient training of verifiably
robust neural networks", arXiv:1906.06316.

A layer without a rule here (the input layers, layer norm, a residual block) ends the way back: its
box is what the linear functions are then minimised over. The input layers change one number at a
time, so nothing is lost there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate.certification.boxes import Box
from hardgate.certification.intervals import Affine, Smooth, Step, layers, passed

# The largest second derivative: between two points a function strays from its chord by no more
# than this times the square of their distance, over eight.
CURVATURE = {nn.SiLU: 0.5, nn.GELU: 0.7979}
PIECES = 24  # of the interval of a smooth activation
TINY = 1e-12
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Rows:
    """For each sample ``k`` functions ``weights * output + constant``.

    ``weights`` has shape ``(n, k, ...)``, ``constant`` shape ``(n, k)``.
    """

    weights: Tensor
    constant: Tensor

    def least(self, box: Box) -> Tensor:
        """Minimise each over a box, shape ``(n, k)``."""
        weights, box = self.weights.flatten(2), box.to(self.weights)
        centre, radius = box.centre.flatten(1), box.radius.flatten(1)
        spread = torch.einsum("nkd,nd->nk", weights.abs(), radius)
        return self.constant + torch.einsum("nkd,nd->nk", weights, centre) - spread


def bounded_below(steps: list[Step], rows: Tensor) -> Tensor:
    """Bound linear functions of the last step's output from below, shape ``(n, k)``.

    Parameters
    ----------
    rows
        Weights of the functions, shape ``(n, k, ...)``; in double precision their own rounding is
        negligible, and the errors that the steps know of are subtracted.
    """
    found = Rows(rows, rows.new_zeros(rows.shape[:2]))
    for step in reversed(steps):
        before = _pulled(step, found)
        if before is None:
            return found.least(step.after)
        found = before
    return found.least(steps[0].before)


def propagate(model: nn.Module, box: Box, *, rounded: bool) -> list[Step]:
    """Carry a box through the network as interval propagation does, tightened before activations.

    Each box is the intersection with what CROWN says of it. Costs as many backward passes as the
    network has hidden numbers: for small networks.
    """
    steps: list[Step] = []
    for layer in layers(model):
        reached = steps[-1].after if steps else box
        if isinstance(layer, nn.ReLU | nn.SiLU | nn.GELU | nn.MaxPool2d) and len(steps) > 1:
            reached = reached.within(_crown(steps, rounded=rounded))
        steps.append(passed(layer, reached, rounded=rounded))
    return steps


def _crown(steps: list[Step], *, rounded: bool) -> Box:
    """Bound every number that comes out of the last step."""
    reached = steps[-1].after
    samples, shape = len(reached.lower), reached.lower.shape[1:]
    count = shape.numel()
    kind = torch.float64 if rounded else reached.lower.dtype
    unit = torch.eye(count, dtype=kind, device=reached.lower.device)
    lower, upper = [], []
    for part in torch.split(unit, ROWS_AT_ONCE):
        rows = part.view(1, -1, *shape).expand(samples, *(-1,) * (1 + len(shape)))
        lower.append(bounded_below(steps, rows))
        upper.append(-bounded_below(steps, -rows))
    return Box(*(torch.cat(ends, dim=1).view(samples, *shape) for ends in (lower, upper)))


def _pulled(step: Step, rows: Rows) -> Rows | None:
    """Express functions of a layer's output as functions of its input, never above them."""
    layer = step.layer
    constant = rows.constant
    if step.error is not None:
        constant = constant - _summed(rows.weights.abs(), step.error)
    rows = Rows(rows.weights, constant)
    before = step.before.to(rows.weights)  # a line rounded in single precision may cut a corner
    match layer:
        case nn.Linear() | nn.Conv2d():
            return _affine(layer, step, rows)
        case nn.ReLU():
            return _chosen(rows, *_relu_lines(before))
        case nn.SiLU() | nn.GELU():
            return _chosen(rows, *_smooth_lines(layer, before))
        case nn.MaxPool2d():
            return _max_pool(layer, step, rows)
        case nn.Flatten():
            shape = step.before.lower.shape[1:]
            return Rows(rows.weights.reshape(*rows.constant.shape, *shape), rows.constant)
        case nn.PixelUnshuffle():
            weights = functional.pixel_shuffle(rows.weights, layer.downscale_factor)
            return Rows(weights, rows.constant)
        case nn.ZeroPad2d():
            back = [-count for count in layer.padding]
            return Rows(functional.pad(rows.weights, back), rows.constant)
        case _:
            return None


def _affine(layer: Affine, step: Step, rows: Rows) -> Rows:
    weights, weight = rows.weights, layer.weight.to(rows.weights)
    constant = rows.constant
    if layer.bias is not None:
        bias = layer.bias.to(weights).view(-1, *[1] * (weights.dim() - 3))
        constant = constant + _summed(weights, bias.expand(weights.shape[2:]).unsqueeze(0))
    if isinstance(layer, nn.Linear):
        return Rows(weights @ weight, constant)
    height, width = step.before.lower.shape[-2:]
    flat, (samples, functions) = weights.flatten(0, 1), weights.shape[:2]
    back = functional.conv_transpose2d(
        flat,
        weight,
        stride=layer.stride,
        padding=[int(count) for count in layer.padding],
        output_padding=_left_over(layer, (height, width), flat.shape[-2:]),
        groups=layer.groups,
        dilation=layer.dilation,
    )
    return Rows(back.view(samples, functions, *back.shape[1:]), constant)


def _left_over(layer: nn.Conv2d, image: tuple[int, int], reached: torch.Size) -> list[int]:
    """Count the last pixels that a strided convolution never saw."""
    return [
        size - ((out - 1) * stride - 2 * int(padding) + dilation * (kernel - 1) + 1)
        for size, out, stride, padding, dilation, kernel in zip(
            image,
            reached,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.kernel_size,
            strict=True,
        )
    ]


@dataclass(frozen=True)
class Line:
    """``slope * x + offset``, one per number of a box."""

    slope: Tensor
    offset: Tensor


def _chosen(rows: Rows, below: Line, above: Line) -> Rows:
    """Replace each activation by the line that makes the function less: below where it counts."""
    plus, minus = rows.weights.clamp(min=0), rows.weights.clamp(max=0)
    low, high = below.slope.unsqueeze(1), above.slope.unsqueeze(1)
    constant = rows.constant + _summed(plus, below.offset) + _summed(minus, above.offset)
    return Rows(plus * low + minus * high, constant)


def _relu_lines(before: Box) -> tuple[Line, Line]:
    """Give the lower line through zero that leaves the smaller area, and the chord above."""
    lower, upper = before.lower.clamp(max=0), before.upper.clamp(min=0)
    slope = upper / (upper - lower).clamp(min=TINY)
    slope = torch.where(before.lower >= 0, 1.0, slope)
    flat_or_steep = (upper > -lower).to(slope)
    nothing = torch.zeros_like(slope)
    return Line(flat_or_steep, nothing), Line(slope, -slope * lower)


def _smooth_lines(layer: Smooth, before: Box) -> tuple[Line, Line]:
    """Give two lines along the chord, as far apart as the function strays from it."""
    lower, width = before.lower, before.upper - before.lower
    slope = (layer(before.upper) - layer(lower)) / width.clamp(min=TINY)
    slope = torch.where(width > TINY, slope, 0.0)
    at = torch.linspace(0, 1, PIECES + 1, dtype=lower.dtype, device=lower.device)
    points = lower + width * at.view(-1, *[1] * lower.dim())
    strays = layer(points) - slope * points
    sag = CURVATURE[type(layer)] * (width / PIECES).square() / 8
    # The points themselves are off by a few units of their last place.
    rounding = 8 * torch.finfo(lower.dtype).eps * (lower.abs() + before.upper.abs() + 1)
    below, above = strays.amin(0) - sag - rounding, strays.amax(0) + sag + rounding
    return Line(slope, below), Line(slope, above)


def _max_pool(layer: nn.MaxPool2d, step: Step, rows: Rows) -> Rows:
    """Follow the number with the highest lower bound; above, only where no other can win."""
    lower, upper = step.before.lower, step.before.upper
    size, stride = layer.kernel_size, layer.stride
    _, place = functional.max_pool2d(lower, size, stride, return_indices=True)
    flat = upper.flatten(2).scatter(2, place.flatten(2), -torch.inf).view_as(upper)
    others = functional.max_pool2d(flat, size, stride)
    wins = step.before.lower.flatten(2).gather(2, place.flatten(2)).view_as(others) >= others
    plus, minus = rows.weights.clamp(min=0), rows.weights.clamp(max=0)
    followed = plus + minus * wins.unsqueeze(1)
    highest = torch.where(wins, 0.0, step.after.upper)
    where = place.unsqueeze(1).expand_as(followed).flatten(0, 1)
    image = lower.shape[-2:]
    back = functional.max_unpool2d(
        followed.flatten(0, 1), where, _pair(size), _pair(stride), output_size=image
    )
    constant = rows.constant + _summed(minus, highest)
    return Rows(back.view(*rows.constant.shape, *back.shape[1:]), constant)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _summed(weights: Tensor, values: Tensor) -> Tensor:
    """Sum ``weights``, ``(n, k, ...)``, times ``values``, ``(n, ...)``, over all but ``n, k``."""
    flat = values.to(weights).flatten(1).expand(len(weights), -1)
    return torch.einsum("nkd,nd->nk", weights.flatten(2), flat)
