"""How a user says what a model runs on.

One input is a word: `1,3,96,96`, `1x3x96x96`, `1,128:int64`, `f32[1,3,96,96]`, `x=1,3,96,96`,
`ids=1,128@ints:30522` (token ids below 30,522) or `x=1,3,8,8@random`. No run looks at values, so
`@random` and `@ints:vocab` say the dtype. Nothing here needs torch.

`zoo formula` alone takes words with letters, `B,3,H,W` or `f32[B,T,8]`: dims that are left open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from zoo.analysis.records import DTYPES, TensorSpec
from zoo.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORT = {short: name for name, (short, _) in DTYPES.items()}
ALIASES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "fp64": "float64",
    "fp32": "float32",
    "fp16": "float16",
    "long": "int64",
    "int": "int32",
}
MOST = 2**63 - 1
"""Elements that a tensor can have."""
WORDS = "Write 1,3,224,224, 1,128:int64, f32[1,3,224,224] or name=1,3,224,224."

_NAMED = re.compile(r"^([A-Za-z_]\w*)=(.*)$", re.DOTALL)
_SHORT_FORM = re.compile(r"^([A-Za-z]\w*)\[(.*)\]$", re.DOTALL)


class InputWord(NamedTuple):
    """One input, read."""

    name: str | None
    """Argument of `forward`; None for one given by position."""
    spec: TensorSpec
    """Its shape and dtype."""
    typed: bool
    """Whether the dtype was said, and was not filled in."""


class OpenWord(NamedTuple):
    """One input, read, some of whose dims may be open."""

    name: str | None
    """Argument of `forward`; None for one given by position."""
    dims: tuple[int | str, ...]
    """Numbers, and names of open dims."""
    dtype: str | None
    """Torch's name of the element type; None where none was said."""


def dtype_of(word: str, what: str) -> str:
    """Torch's dtype name for a user's word.

    Args:
        word: `float32`, `f32`, `torch.float32` or `half`.
        what: The whole input, for the message.

    Returns:
        A name of `DTYPES`: `float32`.

    Raises:
        InputError: No dtype is called so.
    """
    plain = word.strip().removeprefix("torch.")
    name = ALIASES.get(plain, SHORT.get(plain, plain))
    if name not in DTYPES:
        known = [*DTYPES, *ALIASES]
        hint = did_you_mean(plain, known, f"Known: {', '.join(DTYPES)}.")
        raise InputError(repr(what), f"no dtype is called {word.strip()!r}", hint)
    return name


def dims_of(word: str, what: str) -> tuple[int, ...]:
    """Dims of `1,3,96,96` or `1x3x96x96`.

    Args:
        word: Lengths, outermost first, with commas or `x` between them.
        what: The whole input, for the message.

    Returns:
        Lengths, outermost first; all positive.

    Raises:
        InputError: Letters, zeros, negative numbers, nothing at all, or more elements than a tensor
            has.
    """
    parts = re.split(r"[,x]", word.strip())
    if not word.strip():
        raise InputError(repr(what), "it has no dims", WORDS)
    dims = []
    for part in parts:
        text = part.strip()
        if not re.fullmatch(r"[+-]?\d+", text):
            reason = (
                f"{text!r} is not a whole number" if text else "a dim is missing between commas"
            )
            hint = f"{WORDS} `zoo formula` leaves dims open." if text.isidentifier() else WORDS
            raise InputError(repr(what), reason, hint)
        dim = int(text) if len(text) <= 40 else MOST + 1
        if dim <= 0:
            raise InputError(repr(what), f"dim {text} is not positive", WORDS)
        dims.append(dim)
    return checked(tuple(dims), what)


def checked(dims: tuple[int, ...], what: str) -> tuple[int, ...]:
    """`dims`, where a tensor can have them.

    Args:
        dims: Lengths, outermost first.
        what: The whole input, for the message.

    Returns:
        `dims`, unchanged.

    Raises:
        InputError: Not positive, or too many elements.
    """
    numel = 1
    for dim in dims:
        if dim <= 0:
            raise InputError(repr(what), f"dim {dim} is not positive", WORDS)
        numel *= dim
    if numel > MOST // 16:
        raise InputError(
            repr(what), "that is more elements than a tensor can have", "Give smaller dims."
        )
    return dims


def parse(word: str) -> InputWord:
    """Read one input.

    Args:
        word: One of the forms above, such as `ids=1,128:int64`.

    Returns:
        Its name, shape and dtype; float32 where no dtype was said.

    Raises:
        InputError: It is none of the forms above.

    Example:
        >>> parse("ids=1,128:int64").spec
        TensorSpec(shape=(1, 128), dtype='int64', device='cpu')
        >>> str(parse("f32[1,3,96,96]").spec)
        'f32[1,3,96,96]'
    """
    name, dims, dtype = _parts(word)
    if dtype is not None and not dims.strip() and "[" in word:
        return InputWord(name, TensorSpec((), dtype), typed=True)
    shape = dims_of(dims, word)
    return InputWord(name, TensorSpec(shape, dtype or "float32"), typed=dtype is not None)


def _parts(word: str) -> tuple[str | None, str, str | None]:
    """Name, dims and dtype of an input's word."""
    named = _NAMED.match(word.strip())
    name, rest = (named.group(1), named.group(2)) if named else (None, word.strip())
    rest, _, values = rest.partition("@")
    dtype = _values_dtype(values, word) if values or "@" in word else None
    short = _SHORT_FORM.match(rest.strip())
    if short:
        return name, short.group(2), dtype_of(short.group(1), word)
    dims, colon, said = rest.partition(":")
    return name, dims, dtype_of(said, word) if colon else dtype


def parse_open(word: str) -> OpenWord:
    """Read one input whose dims may be open.

    Args:
        word: As for `parse`, with names in the place of some dims.

    Returns:
        Its name, dims and dtype.

    Raises:
        InputError: It is none of these forms.

    Example:
        >>> parse_open("ids=B,T:int64")
        OpenWord(name='ids', dims=('B', 'T'), dtype='int64')
    """
    name, dims, dtype = _parts(word)
    parts = [part.strip() for part in (dims.split(",") if "," in dims else dims.split("x"))]
    if not any(map(is_open_dim, parts)):
        read = parse(word)
        return OpenWord(read.name, read.spec.shape, read.spec.dtype if read.typed else None)
    found = [part if is_open_dim(part) else dims_of(part, word)[0] for part in parts]
    return OpenWord(name, tuple(found), dtype)


def is_open_dim(word: object) -> bool:
    """Whether a dim is written as a name, and not one of a function in a formula."""
    return isinstance(word, str) and word.isidentifier() and word not in ("floor", "max", "min")


def _values_dtype(values: str, word: str) -> str:
    """Dtype of what stands after `@`."""
    if values == "random":
        return "float32"
    kind, _, vocabulary = values.partition(":")
    if kind == "ints" and (not vocabulary or (vocabulary.isdigit() and int(vocabulary) > 0)):
        return "int64"
    raise InputError(
        repr(word), f"@{values} is not a kind of values", "Write @random or @ints:vocab."
    )


def parse_all(words: Iterable[str]) -> tuple[InputWord, ...]:
    """Read several inputs.

    Args:
        words: One for each input.

    Returns:
        The inputs, in the order of the words.

    Raises:
        InputError: One cannot be read, or two have one name.
    """
    read = tuple(parse(word) for word in words)
    names = [one.name for one in read if one.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise InputError(name, "it is given twice", "Give each input once.")
    return read
