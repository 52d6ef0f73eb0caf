"""The command line, one verb a file. Nothing here imports JAX before a verb needs it, so that help answers at once."""
