"""One look at all metrics of this process, by name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

_PREFIX = "marketd_"


class Samples:
    """One collection of the registry, looked up by name without the prefix."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples: dict[str, list[Sample]] = {}
        for family in registry.collect():
            if family.name.startswith(_PREFIX):
                for sample in family.samples:
                    self._samples.setdefault(sample.name.removeprefix(_PREFIX), []).append(sample)

    def total(self, name: str) -> float:
        return sum(sample.value for sample in self._samples.get(name, ()))

    def plain(self, prefix: str, *names: str) -> dict[str, int]:
        return {name: int(self.total(prefix + name)) for name in names}

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """The sum of each value of ``label``."""
        found: dict[str, float] = {}
        for sample in self._samples.get(name, ()):
            value = sample.labels[label]
            found[value] = found.get(value, 0.0) + sample.value
        return found

    def buckets(self, name: str) -> list[tuple[float, int]]:
        """Of a histogram without labels: each bound in order (the last one infinite), and how many are up to it."""
        found = [(float(one.labels["le"]), int(one.value)) for one in self._samples.get(f"{name}_bucket", ())]
        return sorted(found)
