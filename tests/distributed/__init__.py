"""What is true of the distributed engine alone: its parts, each seen at work, and each of them failing."""
