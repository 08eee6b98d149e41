"""`mlx.launch -n 4 program.py ...`: starts the processes of a distributed run on this machine.

Each gets its number as MLX_RANK and what its backend looks for. When one fails, the others are
stopped, and its exit status is the command's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mlx._distributed_utils.common import (
    Hostfile,
    check_local,
    chosen_hosts,
    log_warning,
    positive_number,
)

GRACE = 5.0  # seconds between asking a process to end and ending it


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, and the command as what follows them."""
    parser = argparse.ArgumentParser(prog="mlx.launch", description=__doc__)
    add = parser.add_argument
    add("--print-python", action="store_true", help="print this Python's path and end")
    add("--verbose", action="store_true", help="print what is started")
    add("--hosts", default="127.0.0.1", help="hosts, with commas between them")
    add("--repeat-hosts", "-n", type=positive_number, default=1, help="processes for each host")
    add("--hostfile", help="a file that lists the hosts")
    add("--backend", help="what connects the processes: ring, nccl, or any other that is there")
    add("--env", action="append", default=[], help="NAME=VALUE for the processes; may be repeated")
    add("--starting-port", "-p", type=positive_number, default=32323, help="the ring's first port")
    add("--nccl-port", type=positive_number, default=12345, help="the port that NCCL meets at")
    add("--cwd", help="the folder to run in")
    add("--python", default=sys.executable, help="the interpreter for programs in Python")
    add("command", nargs=argparse.REMAINDER, help="the program and its arguments")
    return parser.parse_args(arguments)


def resolve(command: list[str], python: str, cwd: str | None) -> list[str]:
    """The command as it is run: scripts by the interpreter, others where the path has them."""
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise ValueError("No command to run is given.")
    program = Path(cwd or ".") / command[0]
    if program.is_file() and (program.suffix == ".py" or not os.access(program, os.X_OK)):
        return [python, *command]
    if not program.is_file() and not shutil.which(command[0]):
        raise ValueError(f"There is no program {command[0]}.")
    return command


def environments(hosts: Hostfile, backend: str, options: argparse.Namespace,
                 folder: Path) -> list[dict[str, str]]:  # fmt: skip
    """What each process gets besides this one's environment."""
    extra = dict(e.split("=", 1) for e in [*hosts.envs, *options.env])
    size = len(hosts.hosts)
    if backend == "nccl":
        address = (hosts.hosts[0].ips or ["127.0.0.1"])[0]
        extra |= {
            "NCCL_HOST_IP": address,
            "NCCL_PORT": str(options.nccl_port),
            "MLX_WORLD_SIZE": str(size),
        }
    else:
        port = options.starting_port
        ring = [
            [f"{ip}:{port + rank}" for ip in host.ips or ["127.0.0.1"]]
            for rank, host in enumerate(hosts.hosts)
        ]
        path = folder / "hosts.json"
        path.write_text(json.dumps(ring))
        extra["MLX_HOSTFILE"] = str(path)
    return [extra | {"MLX_RANK": str(rank)} for rank in range(size)]


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Asks all that still run to end, and ends them if they do not."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(processes: list[subprocess.Popen[bytes]]) -> int:
    """0 when all have ended well; the status of the first that did not, when it has ended."""
    running = list(processes)
    while running:
        for process in list(running):
            status = process.poll()
            if status is None:
                continue
            running.remove(process)
            if status != 0:
                rank = processes.index(process)
                log_warning(f"Process {rank} ended with status {status}; the others are stopped.")
                return status if status > 0 else 128 - status
        time.sleep(0.02)
    return 0


def run(command: list[str], environment: list[dict[str, str]], cwd: str | None) -> int:
    """Runs the command once for each environment."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for extra in environment:
            processes.append(subprocess.Popen(command, env=os.environ | extra, cwd=cwd))
        return wait(processes)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        stop(processes)


def warn_if_alone(backend: str, size: int) -> None:
    """Processes that nothing connects would each compute as if they were alone."""
    import mlx.core as mx

    if size > 1 and not mx.distributed.is_available(backend or "any"):
        name = f"backend '{backend}'" if backend else "any backend"
        log_warning(f"There is not {name} here: each process will be a group of one.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = parse(arguments)
    if options.print_python:
        print(sys.executable)
        return 0
    try:
        hosts = chosen_hosts(options.hosts, options.hostfile, options.repeat_hosts)
        check_local(hosts.hosts)
        if not all("=" in e for e in options.env):
            raise ValueError("--env takes NAME=VALUE.")
        command = resolve(options.command, options.python, options.cwd)
        backend = options.backend or hosts.backend
        warn_if_alone(backend, len(hosts.hosts))
        with tempfile.TemporaryDirectory(prefix="mlx-launch-") as folder:
            environment = environments(hosts, backend, options, Path(folder))
            if options.verbose:
                log_warning(f"Starts {len(environment)} processes: {' '.join(command)}")
            return run(command, environment, options.cwd)
    except (ValueError, OSError) as failure:
        log_warning(str(failure))
        return 2


if __name__ == "__main__":
    sys.exit(main())
