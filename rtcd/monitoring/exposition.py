"""The figures of the daemon as text: the format of Prometheus, or OpenMetrics for who asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from rtcd.metrics import Sample

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ()}


class Families(Collector):
    """What `rtcd.metrics.Metrics.samples` yields, and its like, as families of series; those of one stand together."""

    def __init__(self, samples: Callable[[], Iterable[Sample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Called once for each text."""
        family: Metric | None = None
        for sample in self._samples():
            name = _family(sample)
            if family is None or family.name != name:
                if family is not None:
                    yield family
                family = Metric(name, sample.text, sample.kind)
            family.add_sample(sample.name, dict(sample.labels), sample.value)
        if family is not None:
            yield family


def exposition(samples: Callable[[], Iterable[Sample]], accept: str = "") -> tuple[bytes, str]:
    """The text and its content type. ``accept`` is the header of that name of who asks."""
    kinds = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    if "application/openmetrics-text" in kinds:
        return openmetrics.generate_latest(Families(samples)), openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(Families(samples)), CONTENT_TYPE_PLAIN_0_0_4


def _family(sample: Sample) -> str:
    for suffix in _SUFFIXES[sample.kind]:
        if sample.name.endswith(suffix):
            return sample.name.removesuffix(suffix)
    return sample.name
