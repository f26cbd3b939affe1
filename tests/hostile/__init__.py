"""Clients that mean harm, with bytes of their own."""
