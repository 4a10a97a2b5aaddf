"""What one training step does, in order: forward pass, loss, backward pass, optimizer.

The step that is written down is one of many: the optimizer's state is there already. The optimizer
first runs unseen on the gradients of this step, which allocates the state; then its step is
written down. Where gradients are there before the step (accumulation, gradients that are set to
zero instead of freed), a whole micro-batch runs unseen before.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import checkpoint as checkpointing

from zoo.analysis.inputs import dtype_of
from zoo.analysis.records import Step
from zoo.analysis.tracer import losses, optimizers
from zoo.analysis.tracer.autocast import simulated
from zoo.analysis.tracer.blank import tensors_in
from zoo.errors import InputError, NothingToTrain, PlanError, StepError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from zoo.analysis.freezing import Plan
    from zoo.analysis.tracer.modes import BlankMode
    from zoo.analysis.tracer.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Training:
    """How a training step is made. See `zoo.analysis.records.Step`."""

    optimizer: str | optimizers.Factory = "sgd"
    """A name of `optimizers.NAMES`, or a function of the list of parameters."""
    loss: str | losses.Loss = "sum"
    """A name of `losses.NAMES`, or a function of what the model returned."""
    accumulate: int = 1
    """Micro-batches between two steps of the optimizer."""
    set_to_none: bool = True
    """Whether gradients are freed between two steps."""
    checkpoint: tuple[str, ...] = ()
    """Patterns of paths of modules that are checkpointed."""
    plan: Plan | None = None
    """What is frozen, beside what is frozen in the model."""

    def __post_init__(self) -> None:
        optimizers.name_of(self.optimizer)
        losses.name_of(self.loss)
        if self.accumulate < 1:
            raise StepError(
                f"accumulate={self.accumulate}", "a step takes at least one batch", "Try 1."
            )


def autocast_dtype(word: str | None) -> torch.dtype | None:
    """The dtype that autocast casts to.

    Args:
        word: `bfloat16`, `bf16`, `float16`, `half`, ...; None for no autocast.

    Returns:
        The dtype.

    Raises:
        StepError: Autocast casts to no such dtype.
    """
    if word is None:
        return None
    try:
        found: torch.dtype = getattr(torch, dtype_of(word, word))
    except InputError:
        found = torch.float32
    if found not in (torch.bfloat16, torch.float16):
        raise StepError(f"autocast {word}", "it casts to 16 bits", "Try bf16 or fp16.")
    return found


def casting(device: str, dtype: torch.dtype | None) -> AbstractContextManager[None]:
    """Autocast for a pass over the model.

    Args:
        device: Where the run is said to take place.
        dtype: What it casts to; None for no autocast.

    Returns:
        A context in which it is on.

    Raises:
        StepError: torch has no autocast for such a device.
    """
    if dtype is None:
        return nullcontext()
    kind = torch.device(device).type
    try:
        torch.is_autocast_enabled(kind)
    except RuntimeError:
        raise StepError(f"autocast on {kind}", "torch has none there", "Leave it out.") from None
    return simulated(kind, dtype)


class TrainingStep:
    """Takes one step of a model that holds blank tensors.

    Args:
        model: What is trained.
        training: How.
        recorder: Writes down what happens.
        mode: Runs the operators.
        cast: Dtype that eligible operators run in; None for no autocast.
    """

    def __init__(
        self,
        model: nn.Module,
        training: Training,
        recorder: Recorder,
        mode: BlankMode,
        cast: torch.dtype | None,
    ) -> None:
        self.cast = cast
        self.model, self.training = model, training
        self.recorder, self.mode = recorder, mode
        self.checkpointed = checkpointed(model, training.checkpoint)
        self.optimizer: torch.optim.Optimizer | None = None
        if training.plan is not None:
            _freeze(model, training.plan)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise NothingToTrain("the model has no trainable parameter")
        self.targets: dict[tuple[Any, ...], Tensor] = {}
        self.kept: Any = None
        """Outputs and loss, which the variables of a training loop hold until the next step's."""
        for path in self.checkpointed:
            _run_again(model.get_submodule(path), recorder)

    @property
    def record(self) -> Step:
        """How the step was made."""
        cast = self.cast
        return Step(
            optimizer=optimizers.name_of(self.training.optimizer),
            loss=losses.name_of(self.training.loss),
            autocast=None if cast is None else str(cast).removeprefix("torch."),
            accumulate=self.training.accumulate,
            set_to_none=self.training.set_to_none,
            checkpoint=self.checkpointed,
        )

    def take(self, args: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Run the step.

        Args:
            args: Arguments of `forward`.
            options: More of these, by name.

        Raises:
            StepError: Nothing is trained, or the optimizer does not work without a closure.
        """
        recorder = self.recorder
        if self.training.accumulate > 1 or not self.training.set_to_none:
            with recorder.rehearsal():
                self._micro_batch(args, options)
            self.recorder.holds_now()
            self._note_gradients()
        self.kept = self._micro_batch(args, options)
        self._note_gradients()
        with recorder.rehearsal():
            for _ in range(optimizers.settled(self.training.optimizer)):
                self._optimize()
        self._note_state()
        recorder.phase = "optimizer"
        self._optimize()

    def _micro_batch(self, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        with casting(self.mode.device, self.cast):
            output = self.recorder.call(self.model, args, options)
            loss = losses.loss_of(self.training.loss, output, self._target)
        if not self.recorder.paused:
            self.recorder.ledger.mark(loss, "output")
            self.recorder.backward_begins()
        with casting(
            self.mode.device, self.cast
        ):  # anew: a checkpointed module casts its weights again
            loss.backward()
        return output, loss

    def _target(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A target, which lies there before the step as inputs do."""
        key = (tuple(shape), dtype)
        if key not in self.targets:
            with self.mode.unseen():
                self.targets[key] = losses.blank_target(shape, dtype)
            self.recorder.ledger.add(self.targets[key], self.mode.device, "input", name="target")
        return self.targets[key]

    def _note_gradients(self) -> None:
        ledger, place = self.recorder.ledger, self.mode.device
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                ledger.mark(parameter.grad, "gradient", name)
                ledger.add(parameter.grad, place, "gradient", name=name)

    def _note_state(self) -> None:
        names = {id(one): name for name, one in self.model.named_parameters()}
        state_of = self.optimizer.state if self.optimizer else {}
        with self.mode.unseen():  # so that a tensor says where it lies in truth
            for parameter, state in state_of.items():
                name = names.get(id(parameter), "")
                for tensor in tensors_in(state):
                    place = self.mode.device_of(tensor)
                    self.recorder.ledger.add(tensor, place, "optimizer", name=name)

    def _optimize(self) -> None:
        if self.optimizer is None:  # made here, since lazy parameters have a shape now
            parameters = list(self.model.parameters())
            self.optimizer = optimizers.made(self.training.optimizer, parameters)
        try:
            self.optimizer.step()
        except TypeError as error:
            if "closure" not in str(error):
                raise
            raise StepError(
                f"optimizer {optimizers.name_of(self.training.optimizer)}",
                "it evaluates the loss several times a step",
                "Use one whose step takes no closure.",
            ) from None


def _freeze(model: nn.Module, plan: Plan) -> None:
    """Freeze parameters and still modules; `borrow.py` gives the model its own flags back."""
    frozen, still = set(plan.frozen), set(plan.still)
    known = {name for name, _ in model.named_parameters()}
    if not frozen <= known:
        missing = min(frozen - known)
        raise PlanError(
            plan.name, f"the model has no parameter {missing}", "Make the plan of this model."
        )
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad = False  # a lazy one takes no requires_grad_()
    for path, module in model.named_modules():
        if path in still:
            module.training = False


def checkpointed(model: nn.Module, patterns: Sequence[str]) -> tuple[str, ...]:
    """Paths of the outermost modules that patterns name.

    Args:
        model: Any module.
        patterns: Paths, with `*` and `?` as in file names: `layer3`, `encoder.layers.*`.

    Returns:
        The paths, in the order of `named_modules`.

    Raises:
        StepError: A pattern names no module.
    """
    paths = [path for path, _ in model.named_modules() if path]
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in paths):
            hint = did_you_mean(pattern, paths, "Paths are those of `zoo summary`.")
            raise StepError(f"checkpoint {pattern!r}", "no module is called so", hint)
    found: list[str] = []
    for path in paths:
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if not inside and any(fnmatchcase(path, pattern) for pattern in patterns):
            found.append(path)
    return tuple(found)


def _run_again(module: nn.Module, recorder: Recorder) -> None:
    """Let a module keep its inputs only; `borrow.py` gives it its own `forward` back."""
    forward = module.forward

    def again(*args: Any, **kwargs: Any) -> Any:
        with recorder.repeating(module):
            return forward(*args, **kwargs)

    run: Any = getattr(checkpointing.checkpoint, "__wrapped__", checkpointing.checkpoint)

    def checkpointing_forward(*args: Any, **kwargs: Any) -> Any:
        return run(again, *args, use_reentrant=False, determinism_check="none", **kwargs)

    module.forward = checkpointing_forward
