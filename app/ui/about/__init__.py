"""About Luthier: its version, and the licences of all that it is made of."""
