"""The tests, by what they need: nothing, every engine, real sockets, kill -9, a real browser."""
