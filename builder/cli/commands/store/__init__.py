"""Commands about the store and about the program itself, one module each."""
