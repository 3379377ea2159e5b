"""Run every `bench_*.py` beside this file, or those that are named."""

import importlib
import sys
from pathlib import Path


def main(names: list[str]) -> int:
    """Print the records of the named benchmarks, of all if none is named; 2 for an unknown name."""
    known = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        for record in importlib.import_module(f"tests.bench.bench_{name}").records():
            print(record.as_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
