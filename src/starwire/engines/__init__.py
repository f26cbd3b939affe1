"""How gateways, workers and the scheduler are joined: each module is one way, behind ``starwire.engine``."""
