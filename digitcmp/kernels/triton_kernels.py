"""The kernels themselves, in Triton: convolution, its gradients, max pooling and batch norm of a stack of networks.

All tensors have an axis [S] of networks in front. Images lie in memory as [S, images, height, width, channels], so that a
window covers rows of KW x channels numbers that lie side by side; `step` counts the pieces of a window, SIZE numbers each.
"""

import triton
import triton.language as tl


@triton.jit
def seen(
    x, step, there, corner, y0, x0, x_channel, x_row, x_column,
    C: tl.constexpr, H: tl.constexpr, W: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, PH: tl.constexpr, PW: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """One piece of the windows at these corners, [corners, SIZE]: channels of one place of the window, and on to those of the next."""
    k = step * SIZE + tl.arange(0, SIZE)
    row, column, channel = k // (C * KW), k // C % KW, k % C
    inside = there[:, None] & (k < C * KH * KW)[None, :]
    if PH > 0 or PW > 0:
        y, x_ = y0[:, None] + row[None, :], x0[:, None] + column[None, :]
        inside = inside & (y >= 0) & (y < H) & (x_ >= 0) & (x_ < W)
    place = row * x_row + column * x_column + channel * x_channel
    return tl.load(x + corner[:, None] + place[None, :], mask=inside, other=0.0)


@triton.jit
def nearest(x):
    """The number of tf32 next to x, in float32."""
    return ((x.to(tl.int32, bitcast=True) + 4096) & -8192).to(tl.float32, bitcast=True)


@triton.jit
def in_two(
    weight, nearby, rest, size, w_network, w_output, w_channel, w_row, w_column,
    C: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """nearby and rest [S, O, KH, KW, C]: a weight that lies in memory with these strides, as the sum of a number of tf32 and what is left.
    size: numbers of a network."""
    network = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * B + tl.arange(0, B)
    channel, column, row, output = place % C, place // C % KW, place // (C * KW) % KH, place // (C * KW * KH)
    own = weight + network * w_network + output * w_output + channel * w_channel + row * w_row + column * w_column
    value = tl.load(own, mask=place < size, other=0.0)
    tl.store(nearby + network * size + place, nearest(value), mask=place < size)
    tl.store(rest + network * size + place, value - nearest(value), mask=place < size)


@triton.jit
def convolve(
    x, weight, rest, bias, out, images, x_network, x_image, x_channel, x_row, x_column,
    C: tl.constexpr, H: tl.constexpr, W: tl.constexpr, O: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    PH: tl.constexpr, PW: tl.constexpr, H_OUT: tl.constexpr, W_OUT: tl.constexpr,
    BIAS: tl.constexpr, TWO: tl.constexpr, STEPS: tl.constexpr, SIZE: tl.constexpr, BP: tl.constexpr, BO: tl.constexpr,
):  # fmt: skip
    """out [S, images, H_OUT, W_OUT, O] of x, and weight [S, O, KH, KW, C].

    TWO: the weight is given as the sum of two numbers of tf32, and three products of tf32 make one. They are added up piece by piece in
    float32: what a tensor core adds up over several loses digits.
    """
    AREA: tl.constexpr = H_OUT * W_OUT
    K: tl.constexpr = KH * KW * C
    network = tl.program_id(1).to(tl.int64)
    position = tl.program_id(0) * BP + tl.arange(0, BP)
    output = tl.program_id(2) * BO + tl.arange(0, BO)
    there, y0, x0 = position < images * AREA, position % AREA // W_OUT - PH, position % W_OUT - PW
    corner = position // AREA * x_image + y0 * x_row + x0 * x_column
    total = tl.zeros((BP, BO), tl.float32)
    for step in range(STEPS):
        piece = seen(
            x + network * x_network, step, there, corner, y0, x0, x_channel, x_row, x_column, C, H, W, KH, KW, PH, PW, SIZE
        )  # fmt: skip
        k = step * SIZE + tl.arange(0, SIZE)
        inside = (k < K)[:, None] & (output < O)[None, :]
        place = network * (K * O) + output[None, :] * K + k[:, None]
        own = tl.load(weight + place, mask=inside, other=0.0)
        if TWO:
            left = tl.load(rest + place, mask=inside, other=0.0)
            near = nearest(piece)
            part = tl.dot(piece - near, own, input_precision="tf32")
            part = tl.dot(near, left, part, input_precision="tf32")
            total += tl.dot(near, own, part, input_precision="tf32")
        else:
            total = tl.dot(piece, own, total, input_precision="ieee")
    if BIAS:
        total += tl.load(bias + network * O + output, mask=output < O, other=0.0)[None, :]
    written = out + network * (O * AREA) * images + position[:, None] * O + output[None, :]
    tl.store(written, total, mask=there[:, None] & (output < O)[None, :])


@triton.jit
def convolve_weight_gradient(
    x, gradient, parts, bias_parts, images, chunk, x_network, x_image, x_channel, x_row, x_column,
    C: tl.constexpr, H: tl.constexpr, W: tl.constexpr, O: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    PH: tl.constexpr, PW: tl.constexpr, H_OUT: tl.constexpr, W_OUT: tl.constexpr,
    PRECISION: tl.constexpr, STEPS: tl.constexpr, SIZE: tl.constexpr, BP: tl.constexpr, BO: tl.constexpr,
):  # fmt: skip
    """parts [parts, S, KH, KW, C, O] and bias_parts [parts, S, O] of x and a gradient [S, images, H_OUT, W_OUT, O], each summed over a
    chunk of the positions: to be added up in their order, so that the sum is always the same."""
    AREA: tl.constexpr = H_OUT * W_OUT
    K: tl.constexpr = KH * KW * C
    step, network, part = tl.program_id(0) % STEPS, tl.program_id(1).to(tl.int64), tl.program_id(2)
    output = tl.program_id(0) // STEPS * BO + tl.arange(0, BO)
    total, sums = tl.zeros((SIZE, BO), tl.float32), tl.zeros((BP, BO), tl.float32)
    stop = tl.minimum((part + 1) * chunk, images * AREA)
    for start in range(part * chunk, stop, BP):
        position = start + tl.arange(0, BP)
        there, y0, x0 = position < stop, position % AREA // W_OUT - PH, position % W_OUT - PW
        corner = position // AREA * x_image + y0 * x_row + x0 * x_column
        own = gradient + network * (O * AREA) * images + position[:, None] * O + output[None, :]
        given = tl.load(own, mask=there[:, None] & (output < O)[None, :], other=0.0)
        piece = seen(
            x + network * x_network, step, there, corner, y0, x0, x_channel, x_row, x_column, C, H, W, KH, KW, PH, PW, SIZE
        )  # fmt: skip
        total = tl.dot(tl.trans(piece), given, total, input_precision=PRECISION)
        if step == 0:
            sums += given
    k = step * SIZE + tl.arange(0, SIZE)
    row = part * tl.num_programs(1) + network
    to = parts + (row * K + k)[:, None] * O + output[None, :]
    tl.store(to, total, mask=(k < K)[:, None] & (output < O)[None, :])
    if step == 0:
        tl.store(bias_parts + row * O + output, tl.sum(sums, axis=0), mask=output < O)


@triton.jit
def pool(
    x, out, chosen, count, C: tl.constexpr,
    H: tl.constexpr, W: tl.constexpr, H_OUT: tl.constexpr, W_OUT: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """The largest number of each window and its place in it; windows lie side by side. Not a number is larger than any, as in torch."""
    position = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    there = position < count
    column, row, image = position // C % W_OUT, position // (C * W_OUT) % H_OUT, position // (C * W_OUT * H_OUT)
    start = x + ((image * H + row * KH) * W + column * KW) * C + position % C
    largest = tl.load(start, mask=there)
    place = tl.zeros((B,), tl.uint8)
    for k in tl.static_range(1, KH * KW):
        value = tl.load(start + (k // KW * W + k % KW) * C, mask=there)
        larger = (value > largest) | (value != value)
        largest, place = tl.where(larger, value, largest), tl.where(larger, k, place).to(tl.uint8)
    tl.store(out + position, largest, mask=there)
    tl.store(chosen + position, place, mask=there)


@triton.jit
def pool_gradient(
    gradient, chosen, out, count, C: tl.constexpr,
    H: tl.constexpr, W: tl.constexpr, H_OUT: tl.constexpr, W_OUT: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """Each window's gradient at the place that was chosen."""
    position = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    there = position < count
    x, y, image = position // C % W, position // (C * W) % H, position // (C * W * H)
    window = ((image * H_OUT + y // KH) * W_OUT + x // KW) * C + position % C
    inside = there & (y < H_OUT * KH) & (x < W_OUT * KW)  # what is left over at the edge is in no window
    own = tl.load(chosen + window, mask=inside, other=255) == y % KH * KW + x % KW
    tl.store(out + position, tl.load(gradient + window, mask=inside & own, other=0.0), mask=there)


@triton.jit
def norm_sums(x, gradient, mean, parts, rows, chunk, C: tl.constexpr, BC: tl.constexpr, BR: tl.constexpr):
    """parts [2, parts, S, C]: sums of the gradient, and of its product with x - mean, over a chunk of the rows of x [S, rows, C]."""
    network, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel = tl.program_id(2) * BC + tl.arange(0, BC)
    center = tl.load(mean + network * C + channel, mask=channel < C, other=0.0)
    plain, product = tl.zeros((BR, BC), tl.float32), tl.zeros((BR, BC), tl.float32)
    stop = tl.minimum((part + 1) * chunk, rows)
    for start in range(part * chunk, stop, BR):
        row = start + tl.arange(0, BR)
        place = network * (C * rows) + row[:, None] * C + channel[None, :]
        there = (row < stop)[:, None] & (channel < C)[None, :]
        given = tl.load(gradient + place, mask=there, other=0.0)
        plain += given
        product += given * (tl.load(x + place, mask=there, other=0.0) - center[None, :])
    to = parts + (part * tl.num_programs(0) + network) * C + channel
    tl.store(to, tl.sum(plain, axis=0), mask=channel < C)
    tl.store(to + tl.num_programs(0) * tl.num_programs(1) * C, tl.sum(product, axis=0), mask=channel < C)


@triton.jit
def scaled(x, y, out, a, b, c, size, C: tl.constexpr, TWO: tl.constexpr, B: tl.constexpr):
    """out = a x + b y + c, of x and y [S, rows, C] and numbers [S, C]; without y, if not TWO. size: rows x C."""
    network = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * B + tl.arange(0, B)
    there, channel = place < size, network * C + place % C
    value = tl.load(a + channel) * tl.load(x + network * size + place, mask=there) + tl.load(c + channel)
    if TWO:
        value += tl.load(b + channel) * tl.load(y + network * size + place, mask=there)
    tl.store(out + network * size + place, value, mask=there)
