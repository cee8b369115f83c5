"""A Ray cluster to run trials on: one of this command's own, on this machine, or one that is there."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer import __version__
from composer.errors import Diagnostic, InputError, UnavailableError
from composer.foreign import named

# Ray reads these when it is imported or started: no questions, no files of logs, nothing on our terminal.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "1e9",
    # Signals are this command's own.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Paths are those of the user.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Processes of a cluster whose command was killed give up after so many seconds.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
# Seconds in which a port answers, and in which a cluster does.
_PORT, _ANSWER = 3.0, 30.0
_ADDRESS = re.compile(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
# Unix sockets have names of at most 107 bytes, of which Ray takes the rest.
_LONGEST = 40


@dataclass(frozen=True)
class Workers:
    """Where trials run, several at once.

    number   of trials at once; None for as many as the cluster has room for
    address  of a Ray cluster, `HOST:PORT` or `auto`; None to start one on this machine
    gpu      whether each trains on a GPU
    """

    number: int | None = None
    address: str | None = None
    gpu: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of this machine that trials may use."""
        return int(importlib.import_module("torch").cuda.device_count()) if self.gpu else 0

    def resources(self, threads: int) -> dict[str, float]:
        """What a trial of so many threads takes; several share a GPU where there are fewer GPUs than trials."""
        if self.address is not None:
            return {"cpu": threads, "gpu": int(self.gpu)}
        at_once = self.number or 1
        return {"cpu": 1, "gpu": min(1.0, self.gpus / at_once) if self.gpus else 0}


def require() -> Any:
    """Ray's Tune, quiet. Raises UnavailableError without the extra `sweep`."""
    try:
        with _environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("ray")
            return importlib.import_module("ray.tune")
    except ImportError as error:
        text = "trials at once need the package `ray`"
        help = ("pip install 'attention-composer[sweep]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error


@contextlib.contextmanager
def connected(workers: Workers, folder: Path) -> Iterator[None]:
    """In this context, Ray is there for trials; one that was started for it ends with it, and leaves nothing.

    folder  of the trials, which all machines must see
    Raises UnavailableError if Ray is not installed or does not start; InputError for machines that do not see the
    folder. Whether a cluster answers at the address, `check_address` says.
    """
    require()
    import ray

    with _environment(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if ray.is_initialized():
            # The user's own.
            yield
            return
        own = None if workers.address is not None else _place()
        try:
            if own is None:
                ray.init(address=workers.address, **_options())
                _check_machines(folder)
            else:
                _start(workers, own)
            yield
        finally:
            ray.shutdown()
            if own is not None:
                shutil.rmtree(own, ignore_errors=True)


def _start(workers: Workers, own: Path) -> None:
    import ray

    try:
        ray.init(
            num_cpus=workers.number or 1,
            num_gpus=workers.gpus,
            include_dashboard=False,
            _temp_dir=str(own),
            **_options(),
        )
    except Exception as error:
        text = f"Ray does not start on this machine: {named(error).splitlines()[0]}"
        help = ("without `--parallel`, trials run one after another in this process",)
        raise UnavailableError(Diagnostic("cluster", text, help=help)) from error


def _options() -> dict[str, Any]:
    return {"log_to_driver": False, "logging_level": logging.CRITICAL}


def _place() -> Path:
    """A new folder for what Ray writes."""
    found = Path(tempfile.mkdtemp(prefix="composer-"))
    if len(str(found)) <= _LONGEST or not os.path.isdir("/tmp"):
        return found
    found.rmdir()
    return Path(tempfile.mkdtemp(prefix="composer-", dir="/tmp"))


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update({name: value for name, value in _QUIET.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def check_address(text: str) -> None:
    """Raises InputError for what is no address of a cluster, and if none answers there.

    Ray itself would end this process after a minute.
    """
    found = _ADDRESS.fullmatch(text)
    if text != "auto" and (found is None or not 0 < int(found["port"]) < 65536):
        help = ("`ray start --head` prints the address of the cluster that it starts",)
        raise InputError(
            Diagnostic("cluster", f"`{text}` is no address of a Ray cluster", label="HOST:PORT, or `auto`", help=help)
        )
    if found is not None:
        try:
            socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=_PORT).close()
        except OSError as error:
            raise _no_cluster(text, error.strerror or str(error)) from error
    code = (
        "import sys, logging, ray; "
        "ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL); ray.shutdown()"
    )
    environment = {**os.environ, "RAY_gcs_rpc_server_connect_timeout_s": "5"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, text], capture_output=True, text=True, timeout=_ANSWER, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise _no_cluster(text, f"nothing was said within {_ANSWER:.0f} seconds") from error
    if done.returncode:
        if "InvalidAuthToken" in done.stderr:
            why = "it asks for its token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
            raise _no_cluster(text, why)
        said = [line for line in done.stderr.splitlines() if re.match(r"\w+(\.\w+)*Error: ", line)]
        why = said[-1].partition(": ")[2] if said else "what is there is no Ray cluster"
        raise _no_cluster(text, "none runs on this machine" if why.startswith("Could not find any running") else why)


def _no_cluster(text: str, why: str) -> InputError:
    help = ("`ray start --head` starts one and prints its address", "`--parallel N` needs none: it uses this machine")
    return InputError(Diagnostic("cluster", f"no Ray cluster answers at `{text}`: {why}", help=help))


def _check_machines(folder: Path) -> None:
    """Raises InputError if a machine of the cluster has another composer, or does not see the folder."""
    ray = importlib.import_module("ray")
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    for node in ray.nodes():
        if not node["Alive"] or not node["Resources"].get("CPU"):
            continue
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        name = node.get("NodeName") or node["NodeManagerAddress"]
        try:
            asked = ray.remote(num_cpus=0)(_seen).options(scheduling_strategy=strategy).remote(str(folder))
            version, is_there = ray.get(asked, timeout=_ANSWER)
        except Exception as error:
            text = f"the machine `{name}` of the cluster cannot run composer: {named(error).splitlines()[-1]}"
            help = (f"install there what is installed here: attention-composer[sweep] {__version__}",)
            raise InputError(Diagnostic("cluster", text, help=help)) from error
        if version != __version__:
            text = f"the machine `{name}` of the cluster has composer {version}, and this one {__version__}"
            raise InputError(Diagnostic("cluster", text, help=("install the same on all",)))
        if not is_there:
            text = f"the machine `{name}` of the cluster does not see the folder `{folder}`"
            raise InputError(Diagnostic("cluster", text, label="a folder of a file system that all machines share"))


def _seen(folder: str) -> tuple[str, bool]:
    return __version__, os.path.isdir(folder)
