"""Which words are near which, and what is to c as b is to a?

Dive into Deep Learning, 15.7. Words are compared by the cosine of their vectors. An analogy is
solved by 3CosAdd (Mikolov, Yih and Zweig, "Linguistic regularities in continuous space word
representations", 2013; named by Levy and Goldberg 2014): the word d, none of a, b and c, whose
vector has the largest cosine to b - a + c, each of these of length 1.

Files are the text formats of word2vec and fastText, whose first line has the numbers of words and
of numbers in a vector, and of GloVe, which is the same without that line: a word and its vector a
line, with single spaces between. A first line of two whole numbers alone is always taken for those
numbers, so that a file that was cut off, or whose vectors are of another width, is refused.
"""

from __future__ import annotations

import codecs
import math
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.errors import LanguageError, did_you_mean
from zoo.files import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

EXACT = ".9g"
"""Nine digits tell any two float32 apart."""
BOM = codecs.BOM_UTF8
"""What some editors put before a text; it is no part of its first word."""


class TokenEmbedding:
    """Words with their vectors.

    Args:
        tokens: V words, each once.
        vectors: (V, N); kept without their gradient.

    Raises:
        LanguageError: Their numbers differ, a word is there twice, or a number is not finite.

    Example:
        >>> vectors = torch.tensor([[1, 1], [2, 2], [1, 0]])
        >>> embedding = TokenEmbedding(["up", "high", "low"], vectors)
        >>> embedding.similar("up", k=1)[0][0], embedding[["low", "deep"]].tolist()
        ('high', [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, tokens: Iterable[str], vectors: Tensor) -> None:
        self.tokens = tuple(tokens)
        self.vectors = vectors.detach().float()
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        if vectors.dim() != 2 or len(self.tokens) != len(vectors):
            raise LanguageError(
                f"{len(self.tokens)} words and vectors of shape {tuple(vectors.shape)}",
                "there is not one vector for each word",
                "Give a matrix with a row for each word.",
            )
        if len(self.ids) != len(self.tokens):
            twice = next(one for number, one in enumerate(self.tokens) if self.ids[one] != number)
            raise LanguageError(f"word {twice!r}", "it is there twice", "Give each word once.")
        finite = self.vectors.isfinite().all(dim=1)
        if not finite.all():
            wrong = self.tokens[int(finite.int().argmin())]
            raise LanguageError(
                f"word {wrong!r}", "its vector has a number that is not finite", "Train anew."
            )

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.ids

    def __getitem__(self, tokens: str | Sequence[str]) -> Tensor:
        """Vector of a word (N,), or of each of some (n, N); zeros for a word that is not known."""
        if isinstance(tokens, str):
            return self[[tokens]][0]
        unknown = len(self.tokens)
        ids = [self.ids.get(token, unknown) for token in tokens]
        zero = self.vectors.new_zeros(1, self.vectors.shape[1])
        return torch.cat((self.vectors, zero))[ids] if unknown in ids else self.vectors[ids]

    def similarity(self, first: str, second: str) -> float:
        """Cosine of two words' vectors, -1 to 1.

        Args:
            first: A word.
            second: Another.

        Returns:
            The cosine; 0 where a vector is zero.

        Raises:
            LanguageError: A word is not known.
        """
        a, b = self._known([first, second])
        return float(nn.functional.cosine_similarity(a, b, dim=0))

    def similar(self, token: str, k: int = 3) -> list[tuple[str, float]]:
        """The words nearest to one.

        Args:
            token: A word; it is not among the answers.
            k: How many.

        Returns:
            Words and cosines, the nearest first.

        Raises:
            LanguageError: The word is not known.
        """
        return self._nearest(self._known([token])[0], k, without=[token])

    def analogy(self, a: str, b: str, c: str, k: int = 1) -> list[tuple[str, float]]:
        """What is to c as b is to a.

        Args:
            a: A word.
            b: What it has to do with it.
            c: A word like a.
            k: How many answers; a, b and c are none.

        Returns:
            Words and cosines, the best first.

        Raises:
            LanguageError: A word is not known.
        """
        first, second, third = nn.functional.normalize(self._known([a, b, c]), dim=1)
        return self._nearest(second - first + third, k, without=[a, b, c])

    def _nearest(self, query: Tensor, k: int, without: Sequence[str]) -> list[tuple[str, float]]:
        left_out = torch.tensor([self.ids[token] for token in without])
        scores, ids = nearest(self.vectors, query, k, without=left_out)
        return [
            (self.tokens[number], score)
            for number, score in zip(ids.tolist(), scores.tolist(), strict=True)
        ]

    def _known(self, tokens: Sequence[str]) -> Tensor:
        for token in tokens:
            if token not in self.ids:
                hint = did_you_mean(token, self.ids, "Ask for a word that has a vector.")
                raise LanguageError(
                    f"word {token!r}", f"it is not among the {len(self)} that have vectors", hint
                )
        return self[tokens]

    def save(self, path: str | os.PathLike[str], *, header: bool = True) -> None:
        """Write a text file.

        Args:
            path: The file; it is replaced.
            header: Whether a first line has the two numbers (word2vec) or not (GloVe).

        Raises:
            LanguageError: A word cannot be written: it is empty or has white space.
        """
        lines = [f"{len(self)} {self.vectors.shape[1]}"] if header else []
        for token, vector in zip(self.tokens, self.vectors.tolist(), strict=True):
            if token.split() != [token]:
                raise LanguageError(
                    f"word {token!r}",
                    "a line of a file holds no word that is empty or has white space",
                    "Rename it.",
                )
            lines.append(" ".join([token, *(format(number, EXACT) for number in vector)]))
        write_whole(Path(path), "".join(f"{line}\n" for line in lines).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TokenEmbedding:
        """Read a text file of word2vec, fastText or GloVe.

        Args:
            path: The file, in UTF-8.

        Returns:
            Its words and vectors.

        Raises:
            LanguageError: It cannot be read; the line at fault is named.
        """
        try:
            data = Path(path).read_bytes().removeprefix(BOM)
        except OSError as error:
            reason = error.strerror or str(error)
            raise LanguageError(str(path), reason, "Name a file that is there.") from None
        lines = data.removesuffix(b"\n").split(b"\n")
        words, width = _header(lines)
        start = 0 if words is None else 1
        if words is not None and words != len(lines) - start:
            reason = f"its first line says {words} words, and {len(lines) - start} lines follow"
            raise LanguageError(str(path), reason, "Fetch the whole file.")
        numbers = array("f")
        places: dict[str, int] = {}
        for number, line in enumerate(lines[start:], start=start + 1):
            token, vector, fault = _entry(line, width)
            if not fault and token in places:
                fault = f"{token!r} was in line {places[token]} already"
            if fault:
                raise LanguageError(
                    f"{path}, line {number}", fault, "A line has a word and its vector."
                )
            places[token] = number
            numbers.extend(vector)
        return cls(places, torch.tensor(numbers).reshape(len(places), width))


def nearest(
    vectors: Tensor, query: Tensor, k: int, *, without: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The rows of a matrix that have the largest cosine to a vector.

    Args:
        vectors: (V, N).
        query: (N,).
        k: How many; fewer where there are no more.
        without: Rows that are no answers.

    Returns:
        Cosines and row numbers, (k,) each, the largest first; of equal ones the first row first.

    Raises:
        LanguageError: k is below 1, or the vectors are of another width.
    """
    if k < 1:
        raise LanguageError(f"the {k} nearest", "there are none", "Ask for 1 or more.")
    if vectors.dim() != 2 or query.shape != vectors.shape[1:]:
        raise LanguageError(
            f"vectors of shape {tuple(vectors.shape)} and a query of shape {tuple(query.shape)}",
            "they are not as wide",
            "Give a matrix, and a vector of its width.",
        )
    scores = nn.functional.cosine_similarity(vectors, query, dim=1)  # (V,)
    left_out = [] if without is None else set(without.tolist())
    if left_out:
        scores[list(left_out)] = -math.inf
    order = scores.sort(descending=True, stable=True)
    found = max(0, min(k, len(vectors) - len(left_out)))
    return order.values[:found], order.indices[:found]


def _header(lines: Sequence[bytes]) -> tuple[int | None, int]:
    """Words, where the first line says how many, and numbers in a vector."""
    first = lines[0].split()
    if len(first) == 2 and all(word.isdigit() for word in first):
        return int(first[0]), int(first[1])
    return None, len(first) - 1


def _entry(line: bytes, width: int) -> tuple[str, array[float], str]:
    """Word, vector and what is wrong with a line; the last is empty where nothing is."""
    try:
        text = line.decode().rstrip(" \r")
    except UnicodeDecodeError as error:
        return "", array("f"), f"it is no UTF-8 ({error.reason})"
    token, *fields = text.rsplit(" ", width) if width > 0 else [text]
    if width < 1 or len(fields) != width or not token:
        wanted = f"a word and {width} numbers" if width > 0 else "a word and numbers"
        return token, array("f"), f"it wants {wanted}, got {len(text.split())} words in all"
    try:
        vector = array("f", map(float, fields))
    except ValueError:
        return token, array("f"), f"{_first_wrong(fields)!r} is no number"
    if not all(map(math.isfinite, vector)):
        return token, array("f"), "a number is not finite in float32"
    return token, vector, ""


def _first_wrong(fields: Sequence[str]) -> str:
    for field in fields:
        try:
            float(field)
        except ValueError:
            return field
    return ""
