"""Tests in which servers are killed with SIGKILL."""
