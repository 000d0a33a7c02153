"""Which column is which: by the reader's word, by the usual names, or by the usual order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

KINDS = ("user", "item", "rating", "timestamp")
_THINGS = ("item", "movie", "film", "book", "product", "song", "track", "joke", "game", "anime")
# Names in lower case, of letters and digits alone.
NAMES = {
    "user": ["user", "users", "userid", "uid", "reviewerid", "customer", "customerid"],
    "item": [f"{thing}{end}" for thing in _THINGS for end in ("", "id")]
    + ["items", "iid", "isbn", "asin", "parentasin"],
    "rating": ["rating", "ratings", "bookrating", "star", "stars", "score", "overall"],
    "timestamp": ["timestamp", "unixreviewtime", "time", "datetime", "date", "reviewtime"],
    "title": ["title", "movietitle", "booktitle", "name"],
}


def bare(name: object) -> str:
    """Return a column's name as :data:`NAMES` has it; ``user_id:token`` is recbole's."""
    return "".join(filter(str.isalnum, str(name).split(":")[0].lower()))


def has_header(fields: Sequence[str], named: Mapping[str, object]) -> bool:
    """Say whether a first row is a header: it has names that are known, or no number."""
    if any(isinstance(name, str) for name in named.values()):
        return True
    if sum(bare(field) in names for field in fields for names in NAMES.values()) > 1:
        return True
    if any(map(_is_place, named.values())):  # a header has no number where a rating is
        place = named.get("rating")
        return _is_place(place) and not _is_number("".join(fields[place : place + 1]))
    return not any(map(_is_number, fields))


def _is_place(name: object) -> TypeGuard[int]:
    return isinstance(name, int) and name is not False


def _is_number(field: str) -> bool:
    return field.strip().lstrip("-").replace(",", ".").replace(".", "", 1).isdecimal()


def find(
    fields: Sequence[object],
    where: str,
    kinds: Sequence[str],
    required: Sequence[str],
    named: Mapping[str, object],
    with_header: bool = True,
) -> dict[str, int]:
    """Return the place of the column of each kind, from 0; of what is not required, if there.

    ``named`` has the reader's words: a name, a place, ``False`` for a column to leave alone.
    Raises ``ValueError`` for a column that is missing, and for two that could be the one.
    """
    if not with_header and not any(map(_is_place, named.values())):
        found = _in_order(fields, where, kinds, required)
        return {kind: place for kind, place in found.items() if named.get(kind) is not False}
    found = {}
    for kind in kinds:
        name = named.get(kind)
        if name is False:
            continue
        if name is None:
            places = _usual(fields, kind) if with_header else []
        elif isinstance(name, int):
            places = [name] if 0 <= name < len(fields) else []
        else:
            places = [place for place, field in enumerate(fields) if field == name]
        if len(places) > 1:
            names = " and ".join(repr(fields[place]) for place in places)
            raise ValueError(
                f"{where}: {len(places)} columns could be the {kind}: {names}; name one, as "
                f"{kind}={fields[places[0]]!r}"
            )
        if places:
            found[kind] = places[0]
        elif name is not None or kind in required:
            what = f"no column {name!r}" if name is not None else f"no column that is the {kind}"
            columns = ", ".join(repr(str(field)) for field in list(fields)[:10])
            raise ValueError(
                f"{where} has {what}: it has {columns}; name it, as {kind}='NAME', or by its place "
                "from 0 where there is no header"
            )
    return found


def _usual(fields: Sequence[object], kind: str) -> list[int]:
    """Return the places of the columns with usual names; of times the first name wins."""
    names = [bare(field) for field in fields]
    places = [place for place, name in enumerate(names) if name in NAMES[kind]]
    if kind in ("timestamp", "title"):
        places = sorted(places, key=lambda place: NAMES[kind].index(names[place]))[:1]
    return places


def _in_order(fields, where, kinds, required) -> dict[str, int]:
    """Take the columns of a table without a header in the usual order."""
    most = len(kinds) if "rating" in kinds else len(fields)
    if not len(required) <= len(fields) <= most:
        raise ValueError(
            f"{where} has no header and {len(fields)} columns, not {', '.join(required)}; name "
            "them by their places from 0, as user=0 item=1 rating=2"
        )
    return {kind: place for place, kind in enumerate(kinds) if place < len(fields)}
