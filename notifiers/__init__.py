"""
Ways to tell someone: one module each, exporting PLUGIN. The engine finds them by name and imports none.

They see `engine.alert` and `engine.delivery` and nothing else of the engine.
"""

# Another distribution on the package index is also called "notifiers" and overwrites this file without a word when it
# is installed beside Tocsin. The program looks for this mark at start and says what to do when it is gone.
OWNER = "tocsin"
