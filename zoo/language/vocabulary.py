"""Which number stands for which token?

Dive into Deep Learning, 9.2.3. Ids are dense and begin with the unknown token, which stands for
every token that is not listed. Reserved tokens follow in the order given, then the tokens of the
corpus: the most frequent first, those of one frequency in alphabetical order. So ids are the same
wherever they are computed, and a larger `min_freq` cuts the end off and moves no id.
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, SupportsIndex, overload

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

UNKNOWN = "<unk>"
"""The token that stands for every other one."""


class Vocabulary:
    """Tokens with their ids and their counts; never changed once made.

    Args:
        tokens: A corpus: its tokens, or a list of them for each of its lines.
        min_freq: Tokens that occur more rarely are not listed.
        reserved: Tokens that are listed whether they occur or not: `<pad>`, `<bos>`, `<eos>`.

    Example:
        >>> vocab = Vocabulary("to be or not to be".split(), reserved=["<pad>"])
        >>> vocab[["<pad>", "be", "to", "me"]], vocab.tokens([2, 5]), vocab.counts["be"]
        ([1, 2, 3, 0], ['be', 'or'], 2)
    """

    unknown = 0
    """Id of the unknown token."""

    def __init__(
        self,
        tokens: Iterable[str] | Iterable[Sequence[str]] = (),
        min_freq: int = 0,
        reserved: Iterable[str] = (),
    ) -> None:
        found = Counter(_flat(tokens))
        ranked = sorted(found, key=lambda token: (-found[token], token))
        listed = (token for token in ranked if found[token] >= min_freq)
        self._tokens = tuple(dict.fromkeys((UNKNOWN, *reserved, *listed)))
        self._ids = {token: number for number, token in enumerate(self._tokens)}
        self.counts: Mapping[str, int] = MappingProxyType(found)
        """How often each token of the corpus occurs, those that are not listed among them."""

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[str]:
        """Tokens in the order of their ids."""
        return iter(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    @overload
    def __getitem__(self, token: str) -> int: ...

    @overload
    def __getitem__(self, token: list[str] | tuple[str, ...]) -> list[int]: ...

    def __getitem__(self, token: str | list[str] | tuple[str, ...]) -> int | list[int]:
        """Id of a token, or ids of several; that of the unknown token where one is not listed."""
        if isinstance(token, str):
            return self._ids.get(token, self.unknown)
        return [self._ids.get(one, self.unknown) for one in token]

    def tokens(self, ids: Iterable[SupportsIndex]) -> list[str]:
        """Tokens of ids.

        Args:
            ids: A list of numbers, or a tensor of one dim.

        Returns:
            As many tokens, in order.

        Raises:
            LanguageError: An id that no token has.
        """
        numbers = [one.__index__() for one in ids]
        for number in numbers:
            if not 0 <= number < len(self):
                raise LanguageError(
                    f"id {number}",
                    f"the vocabulary has {len(self)} tokens",
                    f"Take ids from 0 to {len(self) - 1}.",
                )
        return [self._tokens[number] for number in numbers]


def _flat(tokens: Iterable[str] | Iterable[Sequence[str]]) -> Iterator[str]:
    """Tokens of all lines, where there are lines."""
    for one in tokens:
        if isinstance(one, str):
            yield one
        else:
            yield from one
