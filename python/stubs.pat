# Changes to the generated stubs. A name that is not there yet raises an error that says so; for type
# checkers it is of any type, so that code that asks for it behind a test is accepted.
^mlx\.core\.__getattr__$:
    \from typing import Any
    def __getattr__(name: str, /) -> Any: ...
