//! What an outside worker tells of a task's attempt is treated as what an activity of our own gives back: secrets are sealed
//! by their names, and those the attempt was given are taken out wherever they turn up again.

use std::convert::Infallible;

use serde_json::Value;
use tokio::time::Instant;

use super::outside::unknown_token;
use crate::http::Site;
use crate::http::fingerprint::hash;
use crate::http::json::Fault;
use crate::http::problem::Problem;
use crate::http::site::by;
use crate::http::tasks::start::{ready, unavailable};
use crate::model::{Failure, REDACTED};
use crate::runtime::Report;
use crate::secrets::{SecretsError, each_secret, faults, scrub, scrubbed};
use crate::workflows::task::GROUP;

/// The report of an attempt's end, fit to be stored. `words`: what was told, for its fingerprint, which is keyed where there
/// are secrets, so that none can be found out by trying.
///
/// # Errors
/// 422 where a secret is no text; 503 where there is no key; [`Problem`] where the store is away.
pub async fn report(
    site: &Site,
    token: &str,
    mut outcome: Result<Value, Failure>,
    words: &[&str],
    deadline: Instant,
) -> Result<Report, Problem> {
    let attempt = by(deadline, site.engine()?.attempt_of(token)).await.map_err(unknown_token)?;
    let attempt = attempt.filter(|attempt| attempt.group == GROUP);
    let mut secretive = attempt.as_ref().is_some_and(|attempt| attempt.has_secrets);
    if let Ok(result) = &mut outcome {
        let _never: Result<(), Infallible> = each_secret(result, &mut |_| {
            secretive = true;
            Ok(())
        });
    }
    let Some(attempt) = attempt.filter(|_| secretive) else {
        return Ok(Report { outcome, fingerprint: hash(words) });
    };
    let secrets = &site.options.secrets;
    ready(secrets).await?;
    let fingerprint = secrets.fingerprint(&words.join("\0")).map_err(|error| unavailable(&error))?;
    let owner = attempt.root.as_str();
    // What cannot be opened was not given to the worker either.
    let opened = attempt.input.and_then(|mut input| secrets.open(owner, &mut input).ok()).unwrap_or_default();
    match &mut outcome {
        Ok(result) => {
            secrets.seal(owner, result).map_err(|error| match error {
                SecretsError::NoText => no_text(result),
                error => unavailable(&error),
            })?;
            scrub(result, &opened);
        }
        Err(failure) => failure.message = scrubbed(&failure.message, &opened),
    }
    Ok(Report { outcome, fingerprint })
}

fn no_text(result: &Value) -> Problem {
    let fault = |(at, message): (String, &str)| Fault { pointer: format!("/result{at}"), message: message.to_owned() };
    Problem::invalid(faults(result).into_iter().map(fault).collect())
}

/// Progress as it may be shown: it is not stored, so secrets in it are of no use to anybody.
pub fn shown(mut progress: Value) -> Value {
    let _never: Result<(), Infallible> = each_secret(&mut progress, &mut |leaf| {
        *leaf = Value::from(REDACTED);
        Ok(())
    });
    progress
}
