"""Where does a model's own code copy between devices, and where does the host wait for one?

A row is a line of code with one kind of copy or wait and one way to mend it, in the order in which
they first happen, and its figures are those of one step. A host that waits cannot prepare the next
operators, so that the device runs dry; what a wait costs besides depends on how much work is
queued, which is not known here. Seconds are those of `links.py`: a copy's latency, and its bytes
over what the link reaches, with pageable memory where the host waits and with pinned memory where
it does not.

What happens at the first step only (a tensor that is moved once, and kept) is told apart, and not
part of the totals of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.analysis.links import between, reach
from zoo.analysis.memory import place_of
from zoo.analysis.records import Column, Note, Phase, Report, Trace, Transfer
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.devices import Device

COLUMNS = (
    Column("kind", "", "`copy`, or the operation for which the host waits."),
    Column("bytes", "B", "Bytes moved in a step."),
    Column("blocking", "", "Whether the host waits."),
    Column("count", "1", "How often in a step."),
    Column("when", "", "`each step`, or at the `first step` only."),
    Column("from", "", "Device that is copied from or waited for."),
    Column("to", "", "Device that is copied to."),
    Column("phase", "", "Part of the step."),
    Column("module", "", "Path of the module whose code it is; the model's own is empty."),
    Column("source", "", "`file:line` of the code that asked for it."),
    Column("fix", "", "What to do instead."),
)
SECONDS = Column("seconds", "s", "Time of the copies on an idle link; what is queued comes on top.")
KEPT = "register_buffer(...) what stays the same: .to() moves it with the model."
BACK = "Keep it on the device; copy results once, after the step."
MADE = "Make it there: torch.arange(n, device=x.device)."
FIXES: Mapping[str, str] = {
    "item": "Keep it a tensor; read it every so many steps, or after the step.",
    "bool": "Let the device choose: torch.where(condition, a, b).",
    "tolist": "Keep it a tensor, or have the list from the host's own data.",
    "numpy": "Compute with torch; convert after the step.",
    "repr": "Print shapes, or print after the step.",
    "format": "Log x.detach() and format it after the step.",
    "nonzero": "Keep the mask: torch.where(mask, a, b), or torch.nonzero_static(x, size=n).",
    "mask": "Keep the shape: torch.where(mask, a, b) or x.masked_fill(mask, number).",
    "masked_select": "Keep the shape: torch.where(mask, a, b), and weigh with the mask.",
    "unique": "Count against a fixed range: torch.zeros(n).scatter_add_(...).",
    "equal": "Compare after the step, or keep (a == b).all() a tensor.",
    "allclose": "Compare after the step, or keep torch.isclose(a, b).all() a tensor.",
    "repeat_interleave": "Say how long it is: repeat_interleave(x, n, output_size=total).",
    "bincount": "torch.zeros(n).scatter_add_(0, x, ones), with n known beforehand.",
    "histc": "Say the range: torch.histc(x, bins, min, max).",
    "one_hot": "Say num_classes: one_hot(x, num_classes=n).",
    "nms": "Keep a fixed number of boxes, or let it be the last thing in the step.",
    "pack_padded_sequence": "Keep lengths on the host: the data loader knows them.",
    "ctc_loss": "Keep lengths on the host: the data loader knows them.",
    "linalg": "The form that does not check: torch.linalg.inv_ex, cholesky_ex, solve_ex, ...",
    "matrix_exp": "Once outside the step, where the matrix does not change.",
    "normal": "mean + std * torch.randn_like(std).",
    "embedding_renorm": "Without max_norm; bound the weights after the optimizer's step.",
    "coalesce": "Dense gradients: Embedding(sparse=False).",
    "segment_reduce": "segment_reduce(..., unsafe=True), where the lengths are known to be right.",
    "synchronize": "Leave it out; time with torch.cuda.Event, and read the times after the loop.",
}
"""What to do instead, by kind; copies by their direction."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What is alike in the transfers of a row."""

    kind: str
    blocking: bool
    when: str | None
    start: str
    end: str
    phase: Phase
    module: str
    source: str | None
    made: bool


def fix(kind: str, start: str, end: str, *, made: bool = False, phase: Phase = "forward") -> str:
    """What to do instead of a copy or wait.

    Args:
        kind: As in `Transfer`.
        start: The device that is copied from.
        end: The device that is copied to.
        made: Whether operators of the step made it, and it is not kept.
        phase: Part of the step: gradients go back to where a copy to the host came from.

    Returns:
        One short sentence.

    Example:
        >>> fix("copy", "cpu", "cuda:0")[:20]
        'register_buffer(...)'
    """
    if kind != "copy":
        return FIXES.get(kind, "Keep the shape known to the host, or let it be the last thing.")
    if start != "cpu" and end != "cpu":
        return "Keep both on one device, or pass on less."
    if end == "cpu" or phase == "backward":
        return BACK
    return MADE if made else KEPT


def seconds(one: Transfer, place: Device | None) -> float | None:
    """Time of a copy on a device's link.

    Args:
        one: A copy or a wait.
        place: The device.

    Returns:
        Latency, and bytes over what the link reaches; 0 for a wait that copies nothing. None where
        the link is not known, or is memory that both share, where what it takes is not known.
    """
    if place is None:
        return None
    if not one.nbytes:
        return 0.0
    if "cpu" not in (one.source_device, one.target_device):
        found = between(place)
        return None if found is None else found.seconds(one.nbytes)
    link = place.link("host")
    found = None if link is None else reach(link)
    if found is None or found.unified:
        return None
    back = one.target_device == "cpu"
    return found.seconds(one.nbytes, back=back, pageable=one.blocking)


def made(trace: Trace, one: Transfer) -> bool:
    """Whether operators of the step made what is copied, and could have made it on the device.

    Not what is kept for later steps, nor what lies in no block of the step's: an attribute, a
    global, a list of numbers.

    Args:
        trace: A run.
        one: A copy in it.

    Returns:
        Whether they did; False also where no operator of the forward pass copied it.
    """
    if one.when == "first step" or one.op is None or one.kind != "copy":
        return False
    reads = trace.ops[one.op].reads
    return bool(reads) and all(read >= 0 for read in reads)


def check(place: str) -> None:
    """Find out whether a run can copy or wait at all.

    Args:
        place: Where it takes place.

    Raises:
        OptionError: On the processor, whose memory is the host's.
    """
    if place.partition(":")[0] == "cpu":
        reason = "the processor does not wait for itself"
        raise OptionError(f"device {place!r}", reason, "Say device cuda, mps or xpu.")


def transfers(trace: Trace, place: Device | None = None) -> Report:
    """Copies and waits of a run, by the line that asked for them.

    Args:
        trace: A run on an accelerator.
        place: The device; None leaves the time of copies out.

    Returns:
        The report.

    Raises:
        OptionError: The run took place on the processor, and moved nothing.
    """
    if not trace.transfers:
        check(place_of(trace))
    rows: dict[_Line, list[Transfer]] = {}
    for one in trace.transfers:
        rows.setdefault(_line(trace, one), []).append(one)
    return Report(
        report="transfer",
        model=trace.model,
        inputs=trace.inputs,
        columns=COLUMNS if place is None else (*COLUMNS[:4], SECONDS, *COLUMNS[4:]),
        rows=tuple(_row(line, found, place) for line, found in rows.items()),
        totals=_totals(trace, place),
        notes=(*trace.notes, *_notes(trace, place)),
        failure=trace.failure,
    )


def _line(trace: Trace, one: Transfer) -> _Line:
    return _Line(
        kind=one.kind,
        blocking=one.blocking,
        when=one.when,
        start=one.source_device,
        end=one.target_device,
        phase=one.phase,
        module=trace.calls[one.call].path if trace.calls else "",
        source=one.source,
        made=made(trace, one),
    )


def _row(line: _Line, found: Sequence[Transfer], place: Device | None) -> Mapping[str, Any]:
    times = {} if place is None else {"seconds": _sum(seconds(one, place) for one in found)}
    return {
        "kind": line.kind,
        "bytes": sum(one.nbytes for one in found),
        "blocking": line.blocking,
        "count": len(found),
        **times,
        "when": line.when,
        "from": line.start,
        "to": line.end,
        "phase": line.phase,
        "module": line.module,
        "source": line.source,
        "fix": fix(line.kind, line.start, line.end, made=line.made, phase=line.phase),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None where a part is not known."""
    parts = list(values)
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def steady(trace: Trace) -> tuple[Transfer, ...]:
    """What every step does, and what may be such."""
    return tuple(one for one in trace.transfers if one.when != "first step")


def _totals(trace: Trace, place: Device | None) -> Mapping[str, Any]:
    each = steady(trace)
    copies = [one for one in each if one.kind == "copy"]
    outputs = trace.outputs
    times = {} if place is None else {"seconds": _sum(seconds(one, place) for one in each)}
    return {
        "waits": sum(one.blocking for one in each),
        "copies": len(copies),
        "to_device_bytes": sum(one.nbytes for one in each if one.source_device == "cpu"),
        "to_host_bytes": sum(one.nbytes for one in each if one.target_device == "cpu"),
        "between_devices_bytes": sum(
            one.nbytes for one in each if "cpu" not in (one.source_device, one.target_device)
        ),
        **times,
        "first_step_only": len(trace.transfers) - len(each),
        "parameter_bytes": sum(one.spec.nbytes for one in trace.parameters),
        "buffer_bytes": sum(one.spec.nbytes for one in trace.buffers),
        "input_bytes": sum(one.spec.nbytes for one in trace.inputs),
        "output_bytes": None if outputs is None else sum(one.nbytes for one in outputs),
    }


def _notes(trace: Trace, place: Device | None) -> Iterable[Note]:
    if any(one.when is None for one in trace.transfers):
        text = "a second step broke, so it is not known what happens at the first step only."
        yield Note("warning", "second-step", text)
    if place is not None and place.assumption is not None:
        yield Note("info", "assumption", f"{place.assumption}.")
