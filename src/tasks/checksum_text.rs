//! `checksum_text`: the SHA-256 of a text, and of each of its parts, part by part. The smallest useful type of task.

use futures_util::future::{FutureExt, LocalBoxFuture, ready};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::TaskTypes;
use crate::activities::Activity;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind};
use crate::workflows::task::{Next, TaskType};

const ACTIVITY: &str = "checksum_part";
const PARTS: u32 = 4;

/// The parameters of `checksum_text`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecksumText {
    /// The text.
    #[schemars(length(max = 500_000))]
    pub text: String,
    /// Into how many parts it is cut.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "parts")]
    pub parts: u32,
}

fn parts() -> u32 {
    PARTS
}

impl ChecksumText {
    /// The part of a number, from 0; cut between characters.
    fn part(&self, number: u32) -> &str {
        let edge = |number: u32| {
            let at = self.text.len() as u64 * u64::from(number) / u64::from(self.parts.max(1));
            let at = usize::try_from(at).unwrap_or(self.text.len());
            (at..=self.text.len()).find(|at| self.text.is_char_boundary(*at)).unwrap_or(self.text.len())
        };
        self.text.get(edge(number)..edge(number + 1)).unwrap_or_default()
    }
}

impl TaskType for ChecksumText {
    const NAME: &'static str = "checksum_text";
    const DESCRIPTION: &'static str = "The SHA-256 of a text and of each of its parts, part by part.";
    const QUEUE: &'static str = "checksums";

    fn total(&self) -> Option<u32> {
        Some(self.parts)
    }

    fn next(&self, done: u32, memory: &Value) -> Next {
        if done < self.parts {
            let input = json!({ "part": self.part(done) });
            return Next::Call { activity: ACTIVITY, input, message: format!("part {} of {}", done + 1, self.parts) };
        }
        Next::Done(json!({ "sha256": hash(&self.text), "parts": memory }))
    }

    fn remember(&self, _done: u32, memory: &Value, result: &Value) -> Value {
        let before = memory.as_array().into_iter().flatten();
        before.chain(result.get("sha256")).cloned().collect()
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

struct ChecksumPart;

#[derive(Deserialize)]
struct Input {
    part: String,
}

impl Activity for ChecksumPart {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let input = serde_json::from_value::<Input>(call.input);
        let wrong = |e: serde_json::Error| Failure::new(FailureKind::Validation, e.to_string());
        ready(input.map(|input| json!({ "sha256": hash(&input.part) })).map_err(wrong)).boxed_local()
    }
}

pub(super) fn register(types: &mut TaskTypes) {
    types.add::<ChecksumText>().activity(ACTIVITY, ChecksumPart);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_are_the_whole(text: String, parts in 1_u32..20) {
            let params = ChecksumText { text: text.clone(), parts };
            let whole: String = (0..parts).map(|number| params.part(number)).collect();
            prop_assert_eq!(whole, text);
        }
    }
}
