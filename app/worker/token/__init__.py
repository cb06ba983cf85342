"""From rows to tokens with their mask."""
