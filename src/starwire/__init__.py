"""Starwire: commands in, pushes out, and work that finishes in 25 hours whatever crashes meanwhile.

The public names. A game needs no others; ``starwire.testing`` has the test kit.
"""

from starwire.app import App, Module
from starwire.client import Client, CommandError
from starwire.errors import (
    ConfigurationError,
    NotAllowed,
    Refused,
    Rejected,
    StarwireError,
    Unauthenticated,
)
from starwire.identity import Identity
from starwire.kinds import Command, Event, Process, View
from starwire.lifecycle import ProcessInfo, Started
from starwire.limits import Limits
from starwire.openid import OpenID
from starwire.process import State
from starwire.transaction import Read, Transaction

__all__ = [
    "App",
    "Client",
    "Command",
    "CommandError",
    "ConfigurationError",
    "Event",
    "Identity",
    "Limits",
    "Module",
    "NotAllowed",
    "OpenID",
    "Process",
    "ProcessInfo",
    "Read",
    "Refused",
    "Rejected",
    "Started",
    "StarwireError",
    "State",
    "Transaction",
    "Unauthenticated",
    "View",
]
