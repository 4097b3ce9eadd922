"""How near the limit of memory we are, by the files of a control group, and what is shed then."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.adapters.memory import used_share
from src.collectors.running.memory_watch import Load, MemoryWatch
from src.telemetry.metrics import Metrics

_MIB = 1 << 20


def _process(folder: Path, cgroup: str, mount: str) -> Path:
    own = folder / "proc"
    own.mkdir()
    (own / "cgroup").write_text(cgroup)
    (own / "mountinfo").write_text(f"22 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n{mount}\n")
    return own


def _group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def _version_2(folder: Path, path: str = "/system.slice/marketd.service", root: str = "/") -> Path:
    mount = f"30 22 0:26 {root} {folder}/cg rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
    return _process(folder, f"0::{path}\n", mount)


def test_a_unit_with_a_limit(tmp_path: Path) -> None:
    own = _version_2(tmp_path)
    _group(tmp_path / "cg")
    _group(tmp_path / "cg/system.slice", memory__max="max", memory__high="max")
    _group(
        tmp_path / "cg/system.slice/marketd.service",
        memory__max=str(4000 * _MIB),
        memory__high=str(3000 * _MIB),
        memory__current=str(2000 * _MIB),
        memory__stat=f"anon 5\ninactive_file {500 * _MIB}\nactive_file 7",
    )
    assert used_share(own) == pytest.approx(0.5), "the lower bound, without what can be dropped"


@pytest.mark.parametrize(
    ("limit", "used", "stat", "share"),
    [
        # An export that is hashed fills the limit with pages of its files; programs that run are no such pages.
        (2000, 1990, {"inactive_file": 290, "active_file": 1200, "file_mapped": 100}, 0.3),
        # Archive files are made and removed by the hundred thousand; names are remembered while there is room.
        (1000, 900, {"slab_reclaimable": 300, "slab_unreclaimable": 50, "slab": 350}, 0.6),
    ],
    ids=["files read again", "names of files"],
)
def test_what_the_kernel_gives_back_is_no_shortage(
    tmp_path: Path, limit: int, used: int, stat: dict[str, int], share: float
) -> None:
    own = _version_2(tmp_path)
    _group(
        tmp_path / "cg/system.slice/marketd.service",
        memory__max=str(limit * _MIB),
        memory__current=str(used * _MIB),
        memory__stat="\n".join(f"{name} {size * _MIB}" for name, size in stat.items()),
    )
    assert used_share(own) == pytest.approx(share)


def test_the_tightest_of_all_above_counts(tmp_path: Path) -> None:
    own = _version_2(tmp_path)
    for name, limit, used in (("cg/system.slice", 1000, 900), ("cg/system.slice/marketd.service", 500, 50)):
        _group(
            tmp_path / name,
            memory__max=str(limit * _MIB),
            memory__current=str(used * _MIB),
            memory__stat="inactive_file 0",
        )
    assert used_share(own) == pytest.approx(0.9)


def test_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    own = _version_2(tmp_path, path="/docker/abc", root="/docker/abc")
    _group(tmp_path / "cg", memory__max="1000", memory__current="250", memory__stat="inactive_file 50")
    assert used_share(own) == pytest.approx(0.2)


def test_version_1_beside_an_empty_version_2(tmp_path: Path) -> None:
    mount = (
        f"31 22 0:27 / {tmp_path}/v1 rw - cgroup cgroup rw,memory\n"
        f"32 22 0:28 / {tmp_path}/v2 rw - cgroup2 cgroup2 rw"
    )
    own = _process(tmp_path, "4:memory:/marketd\n3:cpu,cpuacct:/\n0::/\n", mount)
    _group(tmp_path / "v1", memory__limit_in_bytes=str((1 << 63) - 4096))
    _group(
        tmp_path / "v1/marketd",
        memory__limit_in_bytes="1000",
        memory__usage_in_bytes="900",
        memory__stat="inactive_file 1\ntotal_inactive_file 100",
    )
    assert used_share(own) == pytest.approx(0.8)


@pytest.mark.parametrize("cgroup", ["0::/system.slice/marketd.service\n", "0::/gone\n", "", "nonsense\n"])
def test_without_a_limit_nothing_is_known(tmp_path: Path, cgroup: str) -> None:
    own = _version_2(tmp_path)
    (own / "cgroup").write_text(cgroup)
    _group(tmp_path / "cg/system.slice/marketd.service", memory__max="max", memory__high="max")
    assert used_share(own) is None
    assert used_share(tmp_path / "another system") is None


def test_this_very_process_can_be_asked() -> None:
    share = used_share()
    assert share is None or 0 < share < 1.5


def test_history_goes_first_and_what_was_shed_comes_back_below() -> None:
    share: list[float | None] = [0.0]
    metrics = Metrics()
    watch = MemoryWatch(lambda: share[0], metrics)
    heard: list[tuple[str, bool]] = []
    for load in Load:
        watch.tell(load, lambda shed, name=load.value: heard.append((name, shed)))  # type: ignore[misc]
    seen = []
    for share[0] in (0.84, 0.85, 0.93, 0.98, 0.93, 0.91, 0.88, 0.86, 0.81, 0.79, None):
        watch.look()
        seen.append([load.value for load in Load if watch.sheds(load)])
    assert seen == [
        [],
        ["history"],
        ["history", "api"],
        ["history", "api", "buffer"],
        ["history", "api", "buffer"],
        ["history", "api"],
        ["history", "api"],
        ["history"],
        ["history"],
        [],
        [],
    ]
    assert heard == [
        ("history", True),
        ("api", True),
        ("buffer", True),
        ("buffer", False),
        ("api", False),
        ("history", False),
    ]
    assert metrics.registry.get_sample_value("marketd_memory_shedding", {"load": "history"}) == 0


def test_a_limit_that_is_taken_away_sheds_no_more() -> None:
    share: list[float | None] = [0.99]
    watch = MemoryWatch(lambda: share[0], Metrics())
    watch.look()
    assert all(watch.sheds(load) for load in Load)
    share[0] = None
    watch.look()
    assert not any(watch.sheds(load) for load in Load)
