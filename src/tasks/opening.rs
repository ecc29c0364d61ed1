//! Around an activity of a task: its secrets are opened on the way in, and kept from what is written on the way out.

use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::Value;

use crate::activities::Activity;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind};
use crate::secrets::{Secrets, SecretsError, scrub, scrubbed};

pub struct Opening {
    pub inner: Arc<dyn Activity>,
    pub secrets: Secrets,
}

fn unreadable(error: &SecretsError) -> Failure {
    Failure::new(FailureKind::SecretsUnreadable, format!("a secret of the task cannot be opened: {error}"))
}

impl Activity for Opening {
    fn call(&self, mut call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let owner = call.workflow_id.root().to_owned();
        let opened = match self.secrets.open(&owner, &mut call.input) {
            Ok(opened) => opened,
            Err(error) => return futures_util::future::ready(Err(unreadable(&error))).boxed_local(),
        };
        let (call, secrets) = (self.inner.call(call), self.secrets.clone());
        async move {
            match call.await {
                Ok(mut result) => {
                    // A token that was got for the task is as secret as what it was got with.
                    let sealed = secrets.seal(&owner, &mut result);
                    sealed.map_err(|error| Failure::new(FailureKind::Error, format!("its result: {error}")))?;
                    scrub(&mut result, &opened);
                    Ok(result)
                }
                Err(failure) => Err(Failure { message: scrubbed(&failure.message, &opened), ..failure }),
            }
        }
        .boxed_local()
    }
}
