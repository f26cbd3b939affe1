"""Tests of one module each: no I/O, no sockets, a clock of their own."""
