"""The most common command lines about containers, read and carried out without click."""
