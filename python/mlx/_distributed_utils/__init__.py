"""Programs around distributed runs: `mlx.launch` and `mlx.distributed_config`."""
