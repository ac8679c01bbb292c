"""What a host pays for us at start-up: python tests/bench/host_import.py [RUNS]

Prints a table of milliseconds over fresh processes (the smallest and the median), with nothing behind the host's names.
"""

import json
import pathlib
import statistics
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "hosts" / "importing.py"


def main(runs=10):
    print(f"{'host':6} {'imported':12} {'least':>8} {'median':>8}   modules")
    for host in ("nuke", "maya"):
        for what in ("start-up", "everything"):
            words = [sys.executable, "-I", str(SCRIPT), host, *(["everything"] if what == "everything" else [])]
            answers = [json.loads(subprocess.run(words, capture_output=True, check=True).stdout) for _ in range(runs)]
            times = [1000 * answer["seconds"] for answer in answers]
            count = len(answers[0]["modules"])
            print(f"{host:6} {what:12} {min(times):5.1f} ms {statistics.median(times):5.1f} ms   {count}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
