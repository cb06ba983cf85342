"""Chats that programs export, read as conversations in which one speaker answers. Add a program here."""
