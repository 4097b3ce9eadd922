"""The committed stubs are what their .proto says."""

from __future__ import annotations

import os
import subprocess
import sys

from src.api.protos import task_pb2
from tests.support.processes import ROOT


def test_the_stubs_are_what_would_be_written() -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        ["scripts/protos.sh", "--check"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_callers_have_compiled_stays() -> None:
    # Numbers are the contract: callers in other languages have them in their binaries.
    assert {value.name: value.number for value in task_pb2.TaskStatus.DESCRIPTOR.values} == {
        "TASK_STATUS_RUNNING": 0,
        "TASK_STATUS_SUCCESS": 1,
        "TASK_STATUS_FAILED": 2,
        "TASK_STATUS_CANCELLED": 3,
    }
    service = task_pb2.DESCRIPTOR.services_by_name["TaskService"]
    assert [method.name for method in service.methods] == [
        "CollectBinance",
        "CollectUniswap",
        "ProcessPrices",
        "Analyse",
        "RunTask",
        "GetTask",
        "CancelTask",
        "WatchTask",
    ]
    assert task_pb2.DESCRIPTOR.GetOptions().go_package == "marketd/api/v1;marketdv1"
