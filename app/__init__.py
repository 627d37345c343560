"""The application: the command, what goes in, what comes out, and what is drawn."""
