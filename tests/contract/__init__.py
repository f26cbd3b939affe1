"""Tests of the guarantees, run over every engine."""
