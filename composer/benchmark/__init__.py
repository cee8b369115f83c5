"""How fast networks are and what memory they take, several of them side by side."""

from composer.benchmark.benchmark import benchmark
from composer.benchmark.report import Benchmark
from composer.benchmark.settings import Settings

__all__ = ["Benchmark", "Settings", "benchmark"]
