"""How cost grows with processes, programs, problems, buffer and load; prints one JSON object.

    python tests/perf/scaling.py [--quick] [--parts ddp,judged,problems,buffer,hidden,load]

On an otherwise idle machine of two cores the whole takes below 15 minutes. `--quick` shrinks everything to about two,
to see that it runs: its figures mean nothing. `scale/cost_model.py` turns pieces that are measured here into a table
for many GPUs, which is printed, too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from scale import cost_model
from scale.buffers import buffer
from scale.programs import judged, load, problems
from scale.runs import ddp, ddp_child, hidden

from rltf.commands.start import quiet_libraries

PARTS = {"ddp": ddp, "judged": judged, "problems": problems, "buffer": buffer, "hidden": hidden, "load": load}


def main() -> None:
    """Prints the figures, and the cost model that follows from them."""
    parser = argparse.ArgumentParser(description="How cost grows.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        ddp_child(arguments.child, arguments.quick)
        return
    quiet_libraries()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"load_average": os.getloadavg()[0], "cores": os.cpu_count(), "quick": arguments.quick}
    for name in arguments.parts.split(","):
        start = time.perf_counter()
        result[name] = {**PARTS[name](arguments.quick), "seconds": 0.0}
        result[name]["seconds"] = round(time.perf_counter() - start, 1)
        print(name, result[name]["seconds"], "s", file=sys.stderr)
    if "judged" in result and "buffer" in result:
        costs = cost_model.ProcessorCosts(
            judge_ms=result["judged"]["by_programs"][0]["cpu_ms"],
            **{name: result["buffer"][name] for name in ("handle_ms", "rollout_bytes", "unpack_gb_s")},
        )
        result["pieces"] = asdict(costs)
        result["floors_not_measured"] = cost_model.table(costs)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
