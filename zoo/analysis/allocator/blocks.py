"""How torch's CUDA allocator cuts device memory into blocks.

Rules of `c10/cuda/CUDACachingAllocator.cpp`, for one stream and default settings (`max_split_size`,
garbage collection and power-of-two rounding off), with or without `expandable_segments:True`. They
were read in an earlier version, take their sizes from torch 2.14.1's `c10/core/AllocatorConfig.h`,
and are held to torch 2.14.1's compiled allocator by `tests/oracles/cuda_allocator.json`.

- A request is rounded up to 512 bytes. Up to 1 MiB it goes to the small pool, else to the large.
- The smallest free block that fits is taken, of equal ones that at the lowest address. What is left
  over becomes a free block of its own: in the small pool always, in the large pool only where more
  than 1 MiB is left. So a large block may be up to 1 MiB larger than what was asked for.
- Where none fits, a segment is asked of the device: 2 MiB for small requests, 20 MiB for those
  below 10 MiB, else the size rounded up to 2 MiB.
- A freed block is merged with the free blocks beside it, and its segment is kept.
- Where the device is full, segments that are free as a whole go back to it, and it is asked again.
- With expandable segments each pool is one segment that grows by pages of 2 MiB (small pool) or 20
  MiB (large pool), every remainder of 512 bytes or more is split off, and where the device is full
  all pages that are free as a whole go back to it.

Where the device puts a segment is the driver's choice. Here each lies behind the one before it,
which decides only between free blocks of equal size.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

MIB = 1 << 20
MIN_BLOCK = 512
"""Bytes to which every request is rounded up (`kMinBlockSize`)."""
SMALL_REQUEST = MIB
"""Bytes of the largest request that is served from the small pool (`kSmallSize`)."""
SMALL_SEGMENT = 2 * MIB
"""Bytes of a segment of the small pool (`kSmallBuffer`)."""
LARGE_SEGMENT = 20 * MIB
"""Bytes of a segment that large requests share (`large_segment_size`, once `kLargeBuffer`)."""
OWN_SEGMENT = 10 * MIB
"""Bytes from which a request gets a segment of its own size (`kMinLargeAlloc`)."""
ROUND_SEGMENT = 2 * MIB
"""Bytes to which such a segment is rounded up (`kRoundLarge`)."""

_FAR = 1 << 60


@dataclass(slots=True, eq=False)
class Block:
    """A piece of a segment: in use, free, or address space without memory behind it."""

    start: int
    """Address."""
    size: int
    """Bytes."""
    pool: Pool
    """Where it goes when it is freed."""
    requested: int = 0
    """Bytes asked for, while in use."""
    used: bool = False
    """Whether somebody has it."""
    mapped: bool = True
    """Whether there is memory behind it; False only in expandable segments."""
    before: Block | None = None
    """Its neighbour at the lower address, in the same segment."""
    after: Block | None = None
    """Its neighbour at the higher address, in the same segment."""


class Sorted:
    """Blocks in the order of size and address, or of address alone.

    A block's size and address may change only while it is not in here.
    """

    __slots__ = ("_blocks", "_by_size", "_keys")

    def __init__(self, *, by_size: bool) -> None:
        self._keys: list[tuple[int, int]] = []
        self._blocks: dict[tuple[int, int], Block] = {}
        self._by_size = by_size

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, block: Block) -> None:
        """Put a block in its place."""
        key = (block.size if self._by_size else 0, block.start)
        insort(self._keys, key)
        self._blocks[key] = block

    def remove(self, block: Block) -> None:
        """Take a block out."""
        key = (block.size if self._by_size else 0, block.start)
        del self._keys[bisect_left(self._keys, key)]
        del self._blocks[key]

    def from_size(self, size: int) -> int:
        """Position of the first block of at least `size` bytes."""
        return bisect_left(self._keys, (size, -1))

    def last_size(self) -> int:
        """Bytes of the largest block; 0 where there is none."""
        return self._keys[-1][0] if self._keys else 0

    def at(self, position: int) -> Block:
        """The block at a position."""
        return self._blocks[self._keys[position]]

    def all(self) -> list[Block]:
        """All blocks in order, in a list of its own."""
        return [self._blocks[key] for key in self._keys]


class Pool:
    """Free blocks for small or for large requests."""

    __slots__ = ("base", "end", "free", "page", "unmapped")

    def __init__(self, base: int, page: int) -> None:
        self.base = base
        self.end = base
        self.page = page
        self.free = Sorted(by_size=True)
        self.unmapped = Sorted(by_size=False)


class Caching:
    """The allocator. `alloc` and `free` change it; the attributes say how it stands.

    Args:
        capacity: Bytes that the device can give to it; None where they do not run out.
        expandable: Whether `expandable_segments:True` is set.
    """

    def __init__(self, capacity: int | None = None, *, expandable: bool = False) -> None:
        self.capacity = capacity
        self.expandable = expandable
        self.allocated = 0
        self.requested = 0
        self.reserved = 0
        self.segments = 0
        self.retries = 0
        self.small = Pool(0, SMALL_SEGMENT)
        self.large = Pool(0, LARGE_SEGMENT)
        self._end = 0

    def alloc(self, nbytes: int) -> Block | None:
        """A block of at least `nbytes`; None where the device is full."""
        size = rounded(nbytes)
        pool = self.small if size <= SMALL_REQUEST else self.large
        block = self._cached(pool, size) or self._new(pool, size)
        if block is None:
            self.retries += 1
            self.release()
            block = self._new(pool, size)
            if block is None:
                return None
        self._split(block, size)
        block.used, block.requested = True, nbytes
        self.allocated += block.size
        self.requested += nbytes
        return block

    def free(self, block: Block) -> None:
        """Take a block back and merge it with what is free beside it."""
        self.allocated -= block.size
        self.requested -= block.requested
        block.used, block.requested = False, 0
        _merge(block)
        block.pool.free.add(block)

    def release(self) -> None:
        """Give back to the device what is cached and shares no segment with a block in use."""
        for pool in (self.large, self.small):
            for block in pool.free.all():
                if self.expandable:
                    self._unmap(block)
                elif block.before is None and block.after is None:
                    pool.free.remove(block)
                    self.reserved -= block.size
                    self.segments -= 1

    def cached_blocks(self) -> int:
        """How many free blocks it holds."""
        return len(self.small.free) + len(self.large.free)

    def largest_cached(self) -> int:
        """Bytes of the largest free block; 0 where there is none."""
        return max(self.small.free.last_size(), self.large.free.last_size())

    def _cached(self, pool: Pool, size: int) -> Block | None:
        free = pool.free
        at = free.from_size(size)
        if at == len(free):
            return None
        if self.expandable:
            # A block at the growing end counts with all that it can still grow by.
            while at + 1 < len(free) and _reach(free.at(at + 1)) < _reach(free.at(at)):
                at += 1
        block = free.at(at)
        free.remove(block)
        return block

    def _new(self, pool: Pool, size: int) -> Block | None:
        if self.expandable:
            return self._grow(pool, size)
        nbytes = segment_bytes(size)
        if not self._take(nbytes):
            return None
        self.segments += 1
        block = Block(self._end, nbytes, pool)
        self._end += nbytes
        return block

    def _take(self, nbytes: int) -> bool:
        """Ask the device for memory."""
        if self.capacity is not None and self.reserved + nbytes > self.capacity:
            return False
        self.reserved += nbytes
        return True

    def _split(self, block: Block, size: int) -> None:
        """Cut what is left over off a block that is in no pool, and put it into its pool."""
        left = block.size - size
        small = self.expandable or block.pool is self.small
        if left < MIN_BLOCK if small else left <= SMALL_REQUEST:
            return
        rest = Block(block.start + size, left, block.pool)
        block.size = size
        _insert(block, rest, block.after)
        block.pool.free.add(rest)

    def _grow(self, pool: Pool, size: int) -> Block | None:
        """Map memory behind the lowest address where `size` bytes can come to lie."""
        block = _room(pool, size) or self._address_space(pool)
        if not block.mapped and not self._map(block, min(block.size, size)):
            return None
        while block.size < size:
            after = block.after
            if after is None or not self._map(after, min(size - block.size, after.size)):
                return None
            block = after
        pool.free.remove(block)
        return block

    def _address_space(self, pool: Pool) -> Block:
        """A new expandable segment, with room for an eighth more than the device has."""
        room = _FAR if self.capacity is None else self.capacity + self.capacity // 8
        room = -(-room // pool.page) * pool.page
        block = Block(pool.end, room, pool, mapped=False)
        pool.end += room
        pool.unmapped.add(block)
        return block

    def _map(self, block: Block, nbytes: int) -> bool:
        """Put pages behind the first `nbytes` of a block of address space; it becomes free."""
        pool = block.pool
        nbytes = -(-nbytes // pool.page) * pool.page
        if not self._take(nbytes):
            return False
        self.segments += nbytes // pool.page
        pool.unmapped.remove(block)
        if nbytes < block.size:
            rest = Block(block.start + nbytes, block.size - nbytes, pool, mapped=False)
            block.size = nbytes
            _insert(block, rest, block.after)
            pool.unmapped.add(rest)
        block.mapped = True
        _merge(block)
        pool.free.add(block)
        return True

    def _unmap(self, block: Block) -> None:
        """Take the whole pages of a free block from under it."""
        pool = block.pool
        begin = -(-(block.start - pool.base) // pool.page) * pool.page + pool.base
        end = (block.start + block.size - pool.base) // pool.page * pool.page + pool.base
        if begin >= end:
            return
        pool.free.remove(block)
        if begin > block.start:
            head = Block(block.start, begin - block.start, pool)
            _insert(block.before, head, block)
            pool.free.add(head)
        if end < block.start + block.size:
            tail = Block(end, block.start + block.size - end, pool)
            _insert(block, tail, block.after)
            pool.free.add(tail)
        block.start, block.size, block.mapped = begin, end - begin, False
        self.reserved -= block.size
        self.segments -= block.size // pool.page
        _merge(block)
        if block.before is not None or block.after is not None:
            pool.unmapped.add(block)


def rounded(nbytes: int) -> int:
    """Bytes of the block that a request asks for.

    >>> rounded(1), rounded(512), rounded(513)
    (512, 512, 1024)
    """
    return max(-(-nbytes // MIN_BLOCK) * MIN_BLOCK, MIN_BLOCK)


def segment_bytes(size: int) -> int:
    """Bytes of the segment that is made for a rounded request, without expandable segments.

    >>> [segment_bytes(n) // MIB for n in (512, MIB, MIB + 512, 10 * MIB, 10 * MIB + 512)]
    [2, 2, 20, 10, 12]
    """
    if size <= SMALL_REQUEST:
        return SMALL_SEGMENT
    if size < OWN_SEGMENT:
        return LARGE_SEGMENT
    return -(-size // ROUND_SEGMENT) * ROUND_SEGMENT


def _reach(block: Block) -> int:
    """Bytes of a free block together with the address space behind it."""
    after = block.after
    return block.size + (after.size if after is not None and not after.mapped else 0)


def _room(pool: Pool, size: int) -> Block | None:
    """The first of the blocks, free or without memory, between which `size` bytes fit."""
    here: Block | None
    for block in pool.unmapped.all():
        before = block.before
        first = block if before is None or before.used else before
        found, here = 0, first
        while here is not None and not here.used and found < size:
            found += here.size
            here = here.after
        if found >= size:
            return first
    return None


def _insert(before: Block | None, block: Block, after: Block | None) -> None:
    """Link a block between two neighbours."""
    block.before, block.after = before, after
    if before is not None:
        before.after = block
    if after is not None:
        after.before = block


def _merge(block: Block) -> None:
    """Make one block of `block`, which is in no pool, and the like of it on either side."""
    for other in (block.before, block.after):
        if other is None or other.used or other.mapped is not block.mapped:
            continue
        (block.pool.free if other.mapped else block.pool.unmapped).remove(other)
        if other is block.before:
            block.start = other.start
            block.before = other.before
            if other.before is not None:
                other.before.after = block
        else:
            block.after = other.after
            if other.after is not None:
                other.after.before = block
        block.size += other.size
