"""Hosts of a distributed run, and the files that list them."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Host:
    """One process's place: the machine that ssh reaches, and the addresses it listens on."""

    rank: int
    ssh_hostname: str
    ips: list[str] = field(default_factory=list)

    def is_local(self) -> bool:
        """Whether this machine is meant: by a loopback address, or by its own name."""
        names = {"localhost", socket.gethostname(), socket.gethostname().partition(".")[0]}
        return self.ssh_hostname in names or _is_loopback(self.ssh_hostname)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass
class Hostfile:
    """The hosts of a run by rank; which backend connects them and what their environment gets, if
    the file says so."""

    hosts: list[Host]
    backend: str = ""
    envs: list[str] = field(default_factory=list)

    @staticmethod
    def from_list(hosts: str, repeat: int = 1) -> Hostfile:
        """From `a,b`: each host `repeat` times in a row."""
        names = [name for h in hosts.split(",") if (name := h.strip()) for _ in range(repeat)]
        if not names:
            raise ValueError("No hosts are given.")
        return Hostfile(
            [Host(i, name, [name] if _is_address(name) else []) for i, name in enumerate(names)]
        )

    @staticmethod
    def from_file(path: str | os.PathLike[str], repeat: int = 1) -> Hostfile:
        """From JSON: a list of `{"ssh": name, "ips": [...]}`, or a dict that has it as "hosts",
        with "backend" and "envs". Raises ValueError for anything else."""
        try:
            content = json.loads(Path(path).read_text())
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as failure:
            raise ValueError(f"The hostfile {path} cannot be read: {failure}") from failure
        if isinstance(content, list):
            content = {"hosts": content}
        if not isinstance(content, dict) or not isinstance(content.get("hosts"), list):
            raise ValueError(f"The hostfile {path} holds no list of hosts.")
        entries = [entry for entry in content["hosts"] for _ in range(repeat)]
        if not entries:
            raise ValueError(f"The hostfile {path} lists no hosts.")
        hosts = [_host_from(i, entry, path) for i, entry in enumerate(entries)]
        envs = content.get("envs", [])
        if not isinstance(envs, list) or not all(isinstance(e, str) and "=" in e for e in envs):
            raise ValueError(f'"envs" in {path} must be a list of NAME=VALUE.')
        return Hostfile(hosts, str(content.get("backend", "")), envs)

    def as_json(self) -> dict[str, Any]:
        """What from_file reads."""
        hosts = [{"ssh": h.ssh_hostname, "ips": h.ips} for h in self.hosts]
        return {"backend": self.backend, "envs": self.envs, "hosts": hosts}

    def write(self, path: str | os.PathLike[str]) -> None:
        """As the file that from_file reads."""
        Path(path).write_text(json.dumps(self.as_json(), indent=2) + "\n")


def _host_from(rank: int, entry: Any, path: str | os.PathLike[str]) -> Host:
    ips = entry.get("ips", []) if isinstance(entry, dict) else None
    good = isinstance(entry, dict) and isinstance(entry.get("ssh"), str) and isinstance(ips, list)
    if not good or not all(isinstance(ip, str) and _is_address(ip) for ip in ips or []):
        raise ValueError(
            f'Host {rank} in {path} must be {{"ssh": name, "ips": [addresses]}}, not {entry!r}.'
        )
    return Host(rank, entry["ssh"], list(ips or []))


def chosen_hosts(hosts: str, hostfile: str | None, repeat: int) -> Hostfile:
    """The hosts that the options of a command name."""
    if hostfile is not None:
        return Hostfile.from_file(hostfile, repeat)
    return Hostfile.from_list(hosts, repeat)


def check_local(hosts: list[Host]) -> None:
    """Raises ValueError unless all hosts are this machine."""
    away = sorted({h.ssh_hostname for h in hosts if not h.is_local()})
    if away:
        raise ValueError(f"Processes run on this machine only, not on {', '.join(away)}.")


def log_warning(text: str) -> None:
    """To standard error, as programs write results to standard output."""
    print(f"[mlx] {text}", file=sys.stderr)


def positive_number(text: str) -> int:
    """An option's value; argparse turns the error into its own."""
    value = int(text)
    if value <= 0:
        raise ValueError("must be positive")
    return value
