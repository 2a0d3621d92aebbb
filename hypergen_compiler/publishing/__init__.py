"""Publishing: a package's files and manifest, put in place whole or not at all."""
