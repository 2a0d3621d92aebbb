"""What owners of a package do: see how it drifted, vendor it, bring it up to date and keep their edits."""
