# ruff: noqa: B015, B021, FURB171, PLR0124, UP031 - lines are looked at, and not their values
"""Code that waits for a GPU or copies, as people write it: each way on a line of its own.

A comment says what a line does on CUDA: `! kind bytes from>to`, with `later` where the host does
not wait and `xN` where it happens N times; `8+1` bytes are two waits. A line without one does
neither, though it may look as if it did.
"""

from __future__ import annotations

import io
import math
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchvision  # noqa: F401 - brings its operators
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Values(nn.Module):
    """Asks for values. `x` is of floats (4, 8)."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean()
        mean.item()  # ! item 4 cuda>cpu
        mean.double().item()  # ! item 8 cuda>cpu
        float(mean)  # ! item 4 cuda>cpu
        int(mean)  # ! item 4 cuda>cpu
        math.sqrt(mean.abs())  # ! item 4 cuda>cpu
        list(range(x.argmax()))  # ! item 8 cuda>cpu
        if mean > 0:  # ! bool 1 cuda>cpu
            x = x + 1
        while mean < 0:  # ! bool 1 cuda>cpu
            mean = mean + 1
        assert (x == x).all()  # ! bool 1 cuda>cpu
        x = x * 2 if not mean.isnan() else x  # ! bool 1 cuda>cpu
        min(mean, 3)  # ! bool 1 cuda>cpu
        sorted([x[0, 0], x[0, 1], x[0, 2]])  # ! bool 1 cuda>cpu x2
        mean in [1.0]  # ! bool 1 cuda>cpu
        any(row > 0 for row in x[:, 0])  # ! bool 1 cuda>cpu
        torch.is_nonzero(mean)  # ! bool 4 cuda>cpu
        torch.equal(x, x + 1)  # ! equal 1 cuda>cpu
        torch.allclose(x, x + 1)  # ! allclose 1 cuda>cpu
        x[x.argmax() % 4]  # ! item 8 cuda>cpu
        x[: x.argmax() % 4 + 1]  # ! item 8 cuda>cpu
        torch.full((2,), mean)  # ! item 4 cuda>cpu
        torch.arange(x.argmax())  # ! item 8 cuda>cpu
        torch.tensor([mean, mean])  # ! item 4 cuda>cpu x2
        x.clamp(min=mean)
        x + mean
        x.abs().max()
        torch.equal(x, x)
        torch.equal(x, x[0])
        return x


class Text(nn.Module):
    """Shows tensors."""

    def forward(self, x: Tensor) -> Tensor:
        f"{x.sum()}"  # ! format 4 cuda>cpu
        f"{x.sum():.3f}"  # ! format 4 cuda>cpu
        f"{x}"  # ! repr 128 cuda>cpu
        str(x)  # ! repr 128 cuda>cpu
        print(x, file=io.StringIO())  # ! repr 128 cuda>cpu
        print("loss", x.sum(), file=io.StringIO())  # ! repr 4 cuda>cpu
        repr(x.new_zeros(100, 100))  # ! repr 144 cuda>cpu
        "%d steps" % x.argmax()  # ! item 8 cuda>cpu
        x.tolist()  # ! tolist 128 cuda>cpu
        x.detach().numpy()  # ! numpy 128 cuda>cpu
        x.numpy(force=True)  # ! numpy 128 cuda>cpu
        np.asarray(x.detach())  # ! numpy 128 cuda>cpu
        f"{tuple(x.shape)} {x.dtype} {x.device}"
        print(x.shape, x.dim(), len(x), file=io.StringIO())
        return x


class Sizes(nn.Module):
    """Results whose size depends on values."""

    def forward(self, x: Tensor) -> Tensor:
        mask, whole = x > 0, x.long().abs()
        row = whole[0]
        torch.nonzero(x)  # ! nonzero 4 cuda>cpu
        x.argwhere()  # ! nonzero 4 cuda>cpu
        torch.where(mask)  # ! nonzero 4 cuda>cpu
        x[mask]  # ! mask 4 cuda>cpu
        x[:, mask[0]]  # ! mask 4 cuda>cpu
        x.masked_select(mask)  # ! masked_select 4 cuda>cpu
        x.unique()  # ! unique 8 cuda>cpu
        row.unique(return_counts=True)  # ! unique 8 cuda>cpu
        x.unique(dim=0)  # ! unique 8 cuda>cpu
        row.unique_consecutive()  # ! unique 8 cuda>cpu
        times = whole[:, 0]
        x.repeat_interleave(times, 0)  # ! repeat_interleave 8+1 cuda>cpu
        row.bincount()  # ! bincount 8 cuda>cpu x2
        F.one_hot(row)  # ! one_hot 8 cuda>cpu
        torch.histc(x)  # ! histc 4 cuda>cpu x2
        torch.ops.torchvision.nms(x[:, :4], x[:, 4], 0.5)  # ! nms 4 cuda>cpu
        torch.combinations(row)
        torch.where(mask, x, 0.0)
        x.repeat_interleave(2, dim=0)
        x.repeat_interleave(times, 0, output_size=4)
        F.one_hot(row, 10)
        F.one_hot(torch.arange(3, device=x.device), 5)
        torch.histc(x, 10, -1, 1)
        x[row.clamp(max=3)]
        x.gather(1, whole.clamp(max=7))
        x.topk(2), x.sort(), x.cumsum(0), torch.bucketize(x, x[0])
        return x


class Writes(nn.Module):
    """Assigns through masks and indices."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        mask, index = x > 0, x.argmax(1)
        x[mask] = x[mask]  # ! mask 4 cuda>cpu x2
        x[mask] = x.sum()  # ! mask 4 cuda>cpu
        x[mask] += 1  # ! mask 4 cuda>cpu x2
        x[index % 4] = 1.0  # ! copy 4 cpu>cuda
        x[torch.arange(2), 0] = x[:2, 0]  # ! copy 16 cpu>cuda
        x[0] = torch.ones(8)  # ! copy 32 cpu>cuda
        x.masked_fill(mask, x.sum())  # ! item 4 cuda>cpu
        x.index_fill(0, index % 4, x.sum())  # ! item 4 cuda>cpu
        x[mask] = 0.0
        x[mask] = torch.tensor(2.0)
        x[0] = 1.0
        x[0, 1] = x.sum()
        x[:, :2] = 3
        x[index % 4] = x
        x.masked_fill(mask, -math.inf)
        x.masked_fill_(mask, torch.tensor(1.0))
        x.index_fill_(0, index % 4, 0.0)
        return x


class Copies(nn.Module):
    """Copies what lies on the host, or to it."""

    def forward(self, x: Tensor) -> Tensor:
        device, host = x.device, torch.ones(8)
        x.cpu()  # ! copy 128 cuda>cpu
        x.to("cpu")  # ! copy 128 cuda>cpu
        x.to("cpu", torch.float64)  # ! copy 128 cuda>cpu
        x.to("cpu", non_blocking=True)  # ! copy 128 cuda>cpu later
        x.cpu().numpy()  # ! copy 128 cuda>cpu
        x.type("torch.FloatTensor")  # ! copy 128 cuda>cpu
        host.to(device)  # ! copy 32 cpu>cuda
        host.to(x)  # ! copy 32 cpu>cuda
        host.cuda()  # ! copy 32 cpu>cuda
        host.to(device, torch.float64)  # ! copy 64 cpu>cuda
        host.to(device, non_blocking=True)  # ! copy 32 cpu>cuda
        host.pin_memory().to(device, non_blocking=True)  # ! copy 32 cpu>cuda later
        host.pin_memory()[:4].to(device, non_blocking=True)  # ! copy 16 cpu>cuda later
        host.pin_memory().to(device)  # ! copy 32 cpu>cuda
        x.to("cuda:1")  # ! copy 128 cuda>cuda:1 later
        x.new_empty(8).copy_(host)  # ! copy 32 cpu>cuda
        torch.empty(4, 8).copy_(x)  # ! copy 128 cuda>cpu
        torch.tensor([1, 2, 3], device=device)  # ! copy 24 cpu>cuda
        torch.tensor(1.0, device=device)  # ! copy 4 cpu>cuda
        torch.tensor([1, 2, 3]).to(device)  # ! copy 24 cpu>cuda
        torch.as_tensor([1.0, 2.0], device=device)  # ! copy 8 cpu>cuda
        torch.as_tensor(host, device=device)  # ! copy 32 cpu>cuda
        x.new_tensor([1, 2, 3])  # ! copy 12 cpu>cuda
        torch.from_numpy(np.ones(4)).to(device)  # ! copy 32 cpu>cuda
        torch.arange(8).to(device)  # ! copy 64 cpu>cuda
        torch.ones(8, 8).tril().to(device)  # ! copy 256 cpu>cuda
        x[[0, 2]]  # ! copy 16 cpu>cuda
        x[:, [0, 2]]  # ! copy 16 cpu>cuda
        x[np.array([0, 2])]  # ! copy 16 cpu>cuda
        x[torch.arange(2)]  # ! copy 16 cpu>cuda
        x[torch.tensor([True, False, True, False])]  # ! copy 16 cpu>cuda
        torch.where(x > 0, x, torch.tensor(0.0))  # ! copy 4 cpu>cuda
        torch.arange(8, device=device), torch.eye(3, device=device), x.new_zeros(3), x.sign()
        torch.scalar_tensor(2.0, device=device), torch.full((2,), 3.0, device=device)
        x * torch.tensor(2.0), x + 1, x.to(device), x.to(x.dtype), x.double()
        torch.tensor([1, 2, 3]).tolist(), torch.ones(3).sum().item(), host[[0, 1]], host[host > 0]
        torch.tensor(x), torch.as_tensor(x), x[0], x[:, 1:3], x[..., None], x.cuda()
        return x


class Named(nn.Module):
    """Operations that wait inside, and calls that wait by name."""

    def forward(self, x: Tensor) -> Tensor:
        square = x[:, :4] @ x[:, :4].T + torch.eye(4, device=x.device)
        torch.linalg.inv(square)  # ! linalg 1 cuda>cpu
        torch.linalg.solve(square, square)  # ! linalg 1 cuda>cpu
        torch.linalg.cholesky(square)  # ! linalg 1 cuda>cpu
        torch.linalg.eigh(square)  # ! linalg 1 cuda>cpu
        torch.linalg.svd(square)  # ! linalg 1 cuda>cpu
        torch.normal(x, x.abs())  # ! normal 1 cuda>cpu x2
        F.gaussian_nll_loss(x, x, x.abs())  # ! bool 1 cuda>cpu
        torch.cuda.synchronize()  # ! synchronize 0 cuda>cpu
        torch.cuda.current_stream().synchronize()  # ! synchronize 0 cuda>cpu
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        event.synchronize()  # ! synchronize 0 cuda>cpu
        torch.accelerator.synchronize()  # ! synchronize 0 cuda>cpu
        with torch.cuda.stream(torch.cuda.Stream()):
            x = x + 1
        torch.cuda.current_stream().wait_stream(torch.cuda.Stream())
        torch.linalg.inv_ex(square), torch.linalg.cholesky_ex(square), torch.linalg.qr(square)
        torch.linalg.slogdet(square), torch.multinomial(x.softmax(1), 2), F.dropout(x, 0.5)
        F.cross_entropy(x, x.argmax(1)), F.scaled_dot_product_attention(x, x, x)
        return x


class Lengths(nn.Module):
    """An LSTM over sequences of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        pack = partial(pack_padded_sequence, batch_first=True)
        lengths, ordered = torch.tensor([2, 4, 3, 1]), torch.tensor([4, 3, 2, 1])
        x = x[:, None].expand(4, 4, 8)
        packed = pack(x, lengths, enforce_sorted=False)  # ! copy 32 cpu>cuda
        out, _ = self.lstm(packed)
        padded, _ = pad_packed_sequence(out, batch_first=True)  # ! copy 32 cuda>cpu
        there = ordered.to(x.device)  # ! copy 32 cpu>cuda
        pack(x, there)  # ! pack_padded_sequence 32 cuda>cpu
        out, _ = self.lstm(pack(x, ordered))
        pad_packed_sequence(out, batch_first=True)
        return padded


WAYS: dict[str, Any] = {
    kind.__name__: kind for kind in (Values, Text, Sizes, Writes, Copies, Named, Lengths)
}
"""By name; each takes floats (4, 8)."""
