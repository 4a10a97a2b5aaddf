"""A trace survives JSON; JSON that is no trace is refused in one line."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from zoo.analysis.jsonform import BadRecord, dumps, loads
from zoo.analysis.records import Trace
from zoo.analysis.tracer.run import run


def traces() -> list[Trace]:
    broken = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3, 3))
    return [
        run(nn.LSTM(4, 4), [(3, 1, 4)]),
        run(broken, [(1, 3, 8, 8)]),
        run(nn.Embedding(10, 4), [torch.zeros(2, 3, dtype=torch.int64)], device="cuda"),
    ]


@pytest.mark.parametrize("index", range(3))
def test_round_trip(index: int) -> None:
    trace = traces()[index]
    again = loads(dumps(trace), Trace)
    assert again == trace
    assert again.schema == "zoo.trace/1"
    assert type(again.ops[0]) is type(trace.ops[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: {**d, "schema": "zoo.trace/99"}, "its schema is 'zoo.trace/99'"),
        (lambda d: {**d, "ops": 3}, "not iterable"),
        (lambda d: {**d, "colour": 1}, "colour"),
        (lambda d: {**d, "calls": [{"index": "x"}]}, "is no int"),
        (lambda _: [1], "its schema is None"),
    ],
)
def test_what_is_no_trace(change: object, match: str) -> None:
    data = json.loads(dumps(traces()[0]))
    with pytest.raises(BadRecord, match=match):
        loads(json.dumps(change(data)), Trace)  # type: ignore[operator]


def test_what_is_no_json() -> None:
    with pytest.raises(BadRecord, match="it is not JSON"):
        loads("{", Trace)
