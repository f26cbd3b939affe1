"""The data folder of an embedded server: for one OS process at a time, and for its user only."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from starwire.errors import ConfigurationError


def lock_data_folder(data: Path, lock: Path) -> IO[str]:
    """Take the data folder for this OS process, making it with permissions for its user only.

    Raises:
        ConfigurationError: another server has it, or it cannot be written.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = lock.open("a+")
    except OSError as error:
        raise ConfigurationError(f"STARWIRE_DATA: {data} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise ConfigurationError(
            f"STARWIRE_DATA: {data} is in use by another server (OS process {holder or 'unknown'});"
            " stop that one, or name another folder"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file
