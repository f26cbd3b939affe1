"""A worker for the contract: Celery's own with the real tasks, which a test can give another database,
another app and other bounds without starting it anew.
"""

import os
import sys
from typing import Any

from celery.worker.control import control_command

from starwire import config, telemetry
from starwire.engines.distributed import tasks
from tests.contract import garden

plain = garden.build()
poisoned = garden.build(poison=True)
without_ripen = garden.build(without=frozenset({"ripen"}))


@control_command(args=[("environment", dict)])  # type: ignore[untyped-decorator]
def work_for(_: Any, environment: dict[str, str]) -> dict[str, str]:
    """Work with these settings from now on."""
    before = tasks._worker
    settings, _warnings = config.load(environment)
    tasks._worker = tasks.Worker(settings)
    if before is not None:
        before.herald.stop()
        before.database.close()
    return {"ok": settings.app}


if __name__ == "__main__":
    telemetry.configure_logs(level="warning", to=sys.stdout)
    name = os.environ["STARWIRE_NAME"]
    arguments = ["-P", "solo", "-n", f"{name}@contract", "-l", "warning"]
    tasks.celery.worker_main(["worker", *arguments, "--without-gossip", "--without-mingle"])
