"""Here Be Dragons: private universes that run on while everybody sleeps.

The rules are pure (`rules`, `sky`, `words`), the tables are in `store`, what is said on the wire in
`commands`, `views`, `events`, `processes` and `wire`, and `play` joins them. `app` wires it all together.
"""
