"""Two processes that talk over gloo, for engines that are distributed."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

SIZE = 2


class Ranks:
    """Processes that run the same function, each as its rank. After an error or a time-out none is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipes: list[Connection] = []
        self.processes: list[BaseProcess] = []

    def run(self, function: Callable[..., Any], *arguments: Any, seconds: float = 400) -> list[Any]:
        """What the function gives on each rank; its first argument is the rank. It must be one of a module."""
        if not self.processes:
            self._start()
        for pipe in self.pipes:
            pipe.send((function, arguments))
        found: dict[Connection, Any] = {}
        while len(found) < SIZE:
            ready = wait([pipe for pipe in self.pipes if pipe not in found], seconds)
            answers = {pipe: pipe.recv() for pipe in ready}
            failed = [text for well, text in answers.values() if not well]
            if failed or not ready:
                self.close()
                raise AssertionError(failed[0] if failed else f"a rank did not answer in {seconds} s")
            found |= {pipe: value for pipe, (_, value) in answers.items()}
        return [found[pipe] for pipe in self.pipes]

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.kill()
            process.join()
        self.processes, self.pipes = [], []

    def _start(self) -> None:
        context = torch.multiprocessing.get_context("spawn")
        # A file to meet at, where a port might be taken.
        (store := self.folder / "store").unlink(missing_ok=True)
        for rank in range(SIZE):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, rank, store), daemon=True)
            process.start()
            there.close()
            self.pipes.append(here)
            self.processes.append(process)


def _serve(pipe: Connection, rank: int, store: Path) -> None:
    torch.set_num_threads(1)
    # Where the machine's own name leads nowhere, gloo finds no address of itself.
    if "lo" in (name for _, name in socket.if_nameindex()):
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=SIZE)
    while True:
        function, arguments = pipe.recv()
        try:
            pipe.send((True, function(rank, *arguments)))
        except BaseException:
            pipe.send((False, f"rank {rank}: {traceback.format_exc()}"))
