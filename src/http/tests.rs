//! The door without an engine behind it: everything that is refused before an engine is asked.
