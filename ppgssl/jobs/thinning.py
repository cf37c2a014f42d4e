"""Thinning a curve to a number of points without losing its peaks.

Pure: takes values, gives indices. It never averages; every point kept is a point that was there.
"""

from collections.abc import Sequence


def thin(values: Sequence[float | None], max_points: int) -> list[int]:
    """Indices of at most `max_points` values, ascending, that keep ends and extremes.

    The first and the last point stay; what is between is cut into equal buckets, each of which
    gives its smallest and its largest value. None (inf or nan) is kept only at an end.

    Raises:
        ValueError: `max_points` is less than 1.
    """
    if max_points < 1:
        raise ValueError(f"max_points must be at least 1, got {max_points}")
    count = len(values)
    if count <= max_points:
        return list(range(count))
    if max_points < 4:
        return sorted([count - 1, 0, *_extremes(values, 1, count - 1)][:max_points])

    buckets = (max_points - 2) // 2
    kept = {0, count - 1}
    for bucket in range(buckets):
        start = 1 + bucket * (count - 2) // buckets
        stop = 1 + (bucket + 1) * (count - 2) // buckets
        kept.update(_extremes(values, start, stop))
    return sorted(kept)


def _extremes(values: Sequence[float | None], start: int, stop: int) -> list[int]:
    finite = [(value, i) for i in range(start, stop) if (value := values[i]) is not None]
    return [min(finite)[1], max(finite)[1]] if finite else []


def share_points(counts: dict[str, int], max_points: int) -> dict[str, int]:
    """Split `max_points` among curves of `counts` points: short curves whole, the rest evenly.

    Every curve gets at least one point while there are any.
    """
    shares: dict[str, int] = {}
    left = max_points
    for position, name in enumerate(sorted(counts, key=counts.__getitem__)):
        shares[name] = min(counts[name], left // (len(counts) - position))
        left -= shares[name]
    return shares
