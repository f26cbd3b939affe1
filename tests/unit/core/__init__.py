"""The core, module by module: literal frames and a clock that the test moves."""
