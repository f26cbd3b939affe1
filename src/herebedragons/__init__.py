"""Here Be Dragons: a persistent-universe game for people with little time, built on Starwire."""
