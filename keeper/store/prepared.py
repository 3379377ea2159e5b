"""Statements that SQLAlchemy writes once and the driver runs as often as needed.

SQLAlchemy spends 50 to 100 us on running a statement that the database answers in 5: it looks the text up,
builds a context, and wraps the rows. The outbox makes two dozen small statements for a transaction, and would
spend most of its time there. The text and the conversion of values still come from SQLAlchemy, for each
dialect.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from sqlalchemy import CompoundSelect, Connection, Dialect, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import Insert, ReturningInsert
from sqlalchemy.types import TypeEngine

Statement: TypeAlias = Select[Any] | CompoundSelect[Any] | Insert | ReturningInsert[Any] | Update
Row: TypeAlias = tuple[Any, ...]
_QUERIES: Final = (Select, CompoundSelect)
_GIVEN: Final = object()
"""Stands for a value that comes with each use."""

_Convert: TypeAlias = Callable[[Any], Any]


class Prepared:
    """One statement. It must not hold lists: their text depends on how many there are."""

    def __init__(self, statement: Statement) -> None:
        self._statement: Final = statement
        self._is_query: Final = isinstance(statement, _QUERIES)
        self._texts: Final[dict[tuple[str, frozenset[str] | None], _Text]] = {}

    def rows(self, connection: Connection, named: Mapping[str, Any]) -> list[Row]:
        """Run it in the connection's transaction, and return its rows. Raises `DBAPIError`."""
        text = self._text(connection.dialect, named)
        rows = self._run(connection, text, named)[0]
        return [text.converted(row) for row in rows] if text.from_driver else rows

    def mappings(self, connection: Connection, named: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it, and return its rows by column. Raises `DBAPIError`."""
        names = self._text(connection.dialect, named).names
        return [dict(zip(names, row, strict=True)) for row in self.rows(connection, named)]

    def scalar(self, connection: Connection, named: Mapping[str, Any]) -> Any:
        """Run it, and return the first column of its first row, None without one. Raises `DBAPIError`."""
        rows = self.rows(connection, named)
        return rows[0][0] if rows else None

    def change(self, connection: Connection, named: Mapping[str, Any]) -> int:
        """Run it, and return how many rows it wrote. Raises `DBAPIError`."""
        return self._run(connection, self._text(connection.dialect, named), named)[1]

    def _run(self, connection: Connection, text: "_Text", named: Mapping[str, Any]) -> tuple[list[Row], int]:
        driver = connection.dialect.loaded_dbapi
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text.sql, text.parameters(named))
            if not cursor.description:
                return [], cursor.rowcount
            if not text.has_learned:
                text.learn(connection.dialect, [column[1] for column in cursor.description])
            return list(cursor.fetchall()), cursor.rowcount
        except driver.Error as error:
            raise DBAPIError.instance(
                text.sql, None, error, driver.Error, dialect=connection.dialect
            ) from error
        finally:
            cursor.close()

    def _text(self, dialect: Dialect, named: Mapping[str, Any]) -> "_Text":
        # Only a change has a text that depends on what it is given.
        key = dialect.name, None if self._is_query else frozenset(named)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = _Text(self._statement, dialect, sorted(named))
        return text


class _Text:
    """A statement in one dialect, for parameters of certain names."""

    def __init__(self, statement: Statement, dialect: Dialect, names: list[str]) -> None:
        column_keys = None if isinstance(statement, _QUERIES) else names
        compiled = statement.compile(dialect=dialect, column_keys=column_keys)
        self.sql = str(compiled)
        convert: dict[str, _Convert | None] = {
            name: _impl(bind.type, dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        fixed = {
            name: _converted(convert.get(name), value)
            for name, value in compiled.params.items()
            if name not in names
        }
        order = compiled.positiontup
        self._in_order = order is not None
        self._slots: list[tuple[str, _Convert | None, Any]] = [
            (name, None if name in fixed else convert.get(name), fixed.get(name, _GIVEN))
            for name in (compiled.params if order is None else order)
        ]
        columns = list(statement.selected_columns) if isinstance(statement, _QUERIES) else []
        self.names = tuple(str(column.key) for column in columns)
        self._types = [_impl(column.type, dialect) for column in columns]
        self.from_driver: list[tuple[int, _Convert]] = []
        """Columns of the result that are not as the driver gives them, and how they become ours."""

        self.has_learned = False

    def learn(self, dialect: Dialect, driver_types: list[Any]) -> None:
        """Choose the conversions of the result, by the driver's own type of each column: always the same."""
        self.from_driver = [
            (i, convert)
            for i, (ours, theirs) in enumerate(zip(self._types, driver_types, strict=False))
            if (convert := ours.result_processor(dialect, theirs)) is not None
        ]
        self.has_learned = True

    def parameters(self, named: Mapping[str, Any]) -> Any:
        """Return what the driver is given: in order, or by name."""
        values = [
            fixed if fixed is not _GIVEN else named[name] if convert is None else convert(named[name])
            for name, convert, fixed in self._slots
        ]
        if self._in_order:
            return values
        return {name: value for (name, _, _), value in zip(self._slots, values, strict=True)}

    def converted(self, row: Row) -> Row:
        """Return a row of the driver in our types."""
        values = list(row)
        for i, convert in self.from_driver:
            values[i] = convert(values[i])
        return tuple(values)


def _converted(convert: _Convert | None, value: Any) -> Any:
    return value if convert is None else convert(value)


def _impl(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
