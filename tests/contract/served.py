"""The garden as a server of its own finds it: ``--app tests.contract.served:app``."""

from tests.contract import garden

app = garden.build()
