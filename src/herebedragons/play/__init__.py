"""What happens: the handlers of commands, processes and views, one file a subject.

Each reads a few rows (`universe`), asks the rules, writes the rows, and says what happened. `crew` holds who
is in a universe, `building` what goes up in it, `exploring` what is seen and reached, `danger` the dragons,
`charts` what players look at.
"""
