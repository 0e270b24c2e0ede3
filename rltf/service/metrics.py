"""Numbers of the service for Prometheus (`GET /metrics`)."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rltf.types import Verdict

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """Counts requests and verdicts. Several services in one process do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rltf_requests_total", "Requests answered", ["path", "status"], registry=self._registry
        )
        self._verdicts = Counter("rltf_verdicts_total", "Programs judged", ["outcome"], registry=self._registry)
        self._seconds = Histogram(
            "rltf_verdict_seconds",
            "Seconds from a program's arrival to its verdict, waiting included",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._cpu = Counter("rltf_program_cpu_seconds_total", "CPU seconds of programs", registry=self._registry)
        self._gone = Counter(
            "rltf_clients_gone_total", "Requests whose client went away before the answer", registry=self._registry
        )
        self._state = Gauge("rltf_programs", "Programs by state", ["state"], registry=self._registry)
        self._layers = Gauge(
            "rltf_isolation_layer", "1 where the layer is active, else 0", ["layer"], registry=self._registry
        )

    def count_request(self, path: str, status: int) -> None:
        """Counts an answer; `path` is one of the service's own, or `other`."""
        self._requests.labels(path, str(status)).inc()

    def count_gone(self) -> None:
        """Counts a client that did not wait for its answer."""
        self._gone.inc()

    def observe(self, verdict: Verdict, seconds: float) -> None:
        """Counts a verdict that came so many seconds after its program."""
        self._verdicts.labels(verdict.outcome.value).inc()
        self._seconds.observe(seconds)
        self._cpu.inc(verdict.seconds)

    def text(self, waiting: int, running: int, isolation: Mapping[str, str]) -> bytes:
        """All numbers in Prometheus' text format."""
        self._state.labels("waiting").set(waiting)
        self._state.labels("running").set(running)
        for layer, state in isolation.items():
            self._layers.labels(layer).set(state == "active")
        return generate_latest(self._registry)
