"""The web server that holds sockets: a protocol without I/O, its adapters, and who hears which stream."""
