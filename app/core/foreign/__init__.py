"""Configs of other trainers: LLaMA-Factory, axolotl and Unsloth in Luthier's words. Add a trainer here."""
