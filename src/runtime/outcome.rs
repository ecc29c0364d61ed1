//! The outcome of a request as it is kept under its idempotency key.

use serde::{Deserialize, Serialize};

use super::command::Answer;
use crate::kernel::Rejection;
use crate::model::Name;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Answered { changed: bool, document: String },
    Rejected { code: Name, message: String },
}

/// The outcome as JSON.
pub(super) fn write(outcome: &Result<Answer, Rejection>) -> String {
    let kept = match outcome {
        Ok(answer) => Kept::Answered { changed: answer.changed, document: answer.document.clone() },
        Err(rejection) => Kept::Rejected { code: rejection.code.clone(), message: rejection.message.clone() },
    };
    // Three texts and a truth value can always be written.
    serde_json::to_string(&kept).unwrap_or_default()
}

/// Reads an outcome back; `None` where it is not one of ours.
pub(super) fn read(text: &str) -> Option<Result<Answer, Rejection>> {
    Some(match serde_json::from_str(text).ok()? {
        Kept::Answered { changed, document } => Ok(Answer { changed, audited: false, document }),
        Kept::Rejected { code, message } => Err(Rejection { code, message }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_back_as_it_was_written() {
        let answer = Ok(Answer { changed: true, audited: false, document: "{\"a\":1}".into() });
        let rejection = Err(Rejection::new("order_exists", "no"));
        assert_eq!(read(&write(&answer)), Some(answer));
        assert_eq!(read(&write(&rejection)), Some(rejection));
        assert_eq!(read("{}"), None);
    }
}
