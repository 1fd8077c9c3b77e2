"""Peak memory of `shards build` and time by number of records: made-up sources in the layout of PhysioNet 2012, four measurements a record.

    python3 perf/shards/build_memory.py [--records 10000 100000 1000000] [--ranks 1]
"""

import argparse
import gzip
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARAMETERS = ("HR", "Temp", "GCS", "Urine")


def write_source(folder, records):
    with gzip.open(folder / "set-a.csv.gz", "wt", compresslevel=1) as rows, (folder / "Outcomes-a.txt").open("w") as outcomes:
        rows.write("RecordID,Time,Parameter,Value\n")
        outcomes.write("RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n")
        for number in range(100000, 100000 + records):
            outcomes.write(f"{number},6,1,{number % 23},-1,{int(number % 7 == 0)}\n")
            for hour, parameter in enumerate(PARAMETERS):
                rows.write(f"{number},{hour:02d}:07,{parameter},{36 + (number * 7 + hour) % 3}\n")


def run_rank(folder, command):
    """One rank: its peak goes into a file, its exit code is that of the command."""
    code = subprocess.run(command).returncode
    pathlib.Path(folder, f"peak-{os.getpid()}").write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
    return code


def main():
    if sys.argv[1:2] == ["--rank"]:
        return run_rank(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--ranks", type=int, default=1)
    arguments = parser.parse_args()
    for records in arguments.records:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write_source(folder, records)
            command = [ROOT / "launch/ranks", str(arguments.ranks), sys.executable, __file__, "--rank", name, ROOT / "build/release/tributary", "shards", "build",
                       ROOT / "shards/recipes/physionet2012.toml", "--source", str(folder), "--out", str(folder / "shards")]
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            seconds = time.perf_counter() - begin
            peaks = [int(path.read_text()) / 1024 for path in folder.glob("peak-*")]
            print(f"{records} records: {seconds:.1f} s, peak {max(peaks):.0f} MB a rank ({len(peaks)} ranks)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
