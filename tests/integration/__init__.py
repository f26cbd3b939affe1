"""Tests over real sockets and real files."""
