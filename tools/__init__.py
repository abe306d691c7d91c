"""What builds and checks releases; not part of the wheel."""
