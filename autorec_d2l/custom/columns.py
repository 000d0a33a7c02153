"""Which column is which: as the caller names it, by the usual names, or in the usual order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("user", "item", "rating", "timestamp")
_ITEMS = ("item", "movie", "film", "book", "product", "song", "track", "joke", "game", "anime")
NAMES = {  # as normalize_name returns them
    "user": ["user", "users", "userid", "uid", "reviewerid", "customer", "customerid"],
    "item": [f"{item}{suffix}" for item in _ITEMS for suffix in ("", "id")]
    + ["items", "iid", "isbn", "asin", "parentasin"],
    "rating": ["rating", "ratings", "bookrating", "star", "stars", "score", "overall"],
    "timestamp": ["timestamp", "unixreviewtime", "time", "datetime", "date", "reviewtime"],
    "title": ["title", "movietitle", "booktitle", "name"],
}


def normalize_name(name: object) -> str:
    """Return a column's name in lower case, letters and digits only, without recbole's type.

    ``user_id:token`` becomes ``userid``.
    """
    return "".join(filter(str.isalnum, str(name).split(":")[0].lower()))


def has_header(fields: Sequence[str], named: Mapping[str, Any]) -> bool:
    """Return whether a first row is a header: it holds known names, or no number."""
    if any(isinstance(name, str) for name in named.values()):
        return True
    if sum(normalize_name(field) in names for field in fields for names in NAMES.values()) > 1:
        return True
    if any(map(_is_position, named.values())):  # a header has no number in the rating column
        rating = named.get("rating")
        return isinstance(rating, int) and not any(map(is_number, fields[rating : rating + 1]))
    return not any(map(is_number, fields))


def _is_position(name: Any) -> bool:
    return isinstance(name, int) and name is not False


def is_number(field: str) -> bool:
    """Return whether a field is a decimal number, with a point or a comma."""
    return field.strip().lstrip("-").replace(",", ".").replace(".", "", 1).isdecimal()


def resolve_columns(
    fields: Sequence[object],
    table: str,
    kinds: Sequence[str],
    named: Mapping[str, Any],
    with_header: bool = True,
) -> dict[str, int]:
    """Return the position, from 0, of the column of each kind; of times, if there is one.

    ``named`` holds what the caller said of a kind: a name, a position, or ``False`` for a column to
    ignore. Raises ``ValueError`` for a missing column, and for two candidates.
    """
    kinds = [kind for kind in kinds if named.get(kind) is not False]
    required = [kind for kind in kinds if kind != "timestamp"]
    if not with_header and not any(map(_is_position, named.values())):
        most = len(KINDS) if "rating" in kinds else len(fields)
        if not len(required) <= len(fields) <= most:
            raise ValueError(
                f"{table} has no header and {len(fields)} columns: give positions, as user=0 item=1"
            )
        return dict(zip(kinds, range(len(fields)), strict=False))
    found = {}
    for kind in kinds:
        name = named.get(kind)
        if name is None:
            positions = _with_usual_name(fields, kind) if with_header else []
        elif isinstance(name, int):
            positions = [name] if 0 <= name < len(fields) else []
        else:
            positions = [position for position, field in enumerate(fields) if field == name]
        if len(positions) > 1:
            names = " and ".join(repr(fields[position]) for position in positions)
            raise ValueError(f"{table}: {names} could be the {kind}: name one, as {kind}='NAME'")
        if positions:
            found[kind] = positions[0]
        elif name is not None or kind in required:
            missing = f"no column {name!r}" if name is not None else f"no known {kind} column"
            raise ValueError(
                f"{table} has {missing} among {[*fields[:10]]}: give {kind}='NAME', or its "
                "position. A matrix with a row for each user becomes a table by pandas.melt"
            )
    return found


def _with_usual_name(fields: Sequence[object], kind: str) -> list[int]:
    """Return the positions of the columns with usual names; of times and titles the best known."""
    names = [normalize_name(field) for field in fields]
    positions = [position for position, name in enumerate(names) if name in NAMES[kind]]
    if kind in ("timestamp", "title"):
        positions = sorted(positions, key=lambda i: NAMES[kind].index(names[i]))[:1]
    return positions
