"""Where a store is kept."""

from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

Place: TypeAlias = Path | str
"""An SQLite file, or the URL of a PostgreSQL database: `postgresql://user@host:port/database`.

The URL holds no password: libpq finds it in the file that `passfile=` or `PGPASSFILE` names.
"""


def shown(place: Place) -> str:
    """Return a place as messages name it: of a URL nothing that could hold a secret."""
    if isinstance(place, Path):
        return str(place)
    parts = urlsplit(place)
    host = parts.hostname or "local socket"
    port = "" if parts.port is None else f":{parts.port}"
    return f"postgresql://{host}{port}{parts.path}"
