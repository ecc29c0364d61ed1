//! SQLite: see the module docs of its parts.
