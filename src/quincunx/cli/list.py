"""``quincunx list``: the worked problems, with the kind of truth each has and what it costs."""

from quincunx.cli.console import emit, tabulate
from quincunx.cli.options import Json


def list_problems(json: Json = False) -> None:
    """List the worked problems, with their truth and cost."""
    from quincunx import gallery

    rows = gallery.table()
    if json:
        emit({"problems": rows})
        return
    columns = list(rows[0])
    tabulate(columns, [[row[column] for column in columns] for row in rows])
