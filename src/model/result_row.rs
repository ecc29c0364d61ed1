//! A row of a workflow's results: what it found out, beside its state.

/// One row. Results are kept here where they are too many or too large for the state of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// What tells it from the family's other rows; they are read in the order of their names.
    pub name: String,
    /// JSON text.
    pub body: String,
}
