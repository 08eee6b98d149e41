"""`mlx.distributed_config -n 2 --output-hostfile hosts.json`: writes the file that
`mlx.launch --hostfile` reads, for processes on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from mlx._distributed_utils.common import (
    Host,
    Hostfile,
    check_local,
    chosen_hosts,
    log_warning,
    positive_number,
)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mlx.distributed_config", description=__doc__)
    add = parser.add_argument
    add("--verbose", action="store_true", help="print what is written")
    add("--hosts", default="127.0.0.1", help="hosts, with commas between them")
    add("--repeat-hosts", "-n", type=positive_number, default=1, help="processes for each host")
    add("--hostfile", help="a file that lists the hosts")
    add(
        "--over", choices=["ethernet", "thunderbolt"], default="ethernet", help="what connects them"
    )
    add("--output-hostfile", help="where to write the file; standard output if not given")
    add("--backend", choices=["ring", "nccl", "jaccl", "jaccl-ring"], default="ring",
        help="what the processes shall use")  # fmt: skip
    add("--env", action="append", default=[], help="NAME=VALUE for the processes; may be repeated")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = parse(arguments)
    try:
        if options.over == "thunderbolt" or options.backend.startswith("jaccl"):
            raise ValueError("Thunderbolt and what runs over it are not there on this system.")
        hosts = chosen_hosts(options.hosts, options.hostfile, options.repeat_hosts)
        check_local(hosts.hosts)
        listed = [Host(h.rank, h.ssh_hostname, h.ips or ["127.0.0.1"]) for h in hosts.hosts]
        out = Hostfile(listed, options.backend, [*hosts.envs, *options.env])
        if options.output_hostfile:
            out.write(options.output_hostfile)
        if options.verbose or not options.output_hostfile:
            print(json.dumps(out.as_json(), indent=2))
        return 0
    except (ValueError, OSError) as failure:
        log_warning(str(failure))
        return 2


if __name__ == "__main__":
    sys.exit(main())
