//! The tasks of any type: start one, see it, list them, cancel one, and which types there are.

pub mod cancel;
pub mod history;
pub mod list;
pub mod result;
pub mod start;
pub(crate) mod start_request;
pub mod status;
pub mod types;

use actix_web::HttpRequest;

use super::problem::Problem;
use super::seek::path_id;
use crate::model::WorkflowId;

const NOT_FOUND: &str = "there is no task of this id";

/// The task id of the path.
fn task_id(req: &HttpRequest) -> Result<WorkflowId, Problem> {
    path_id(req, "task_id", "invalid_task_id", "task")
}

/// A problem in the words of tasks.
fn of_tasks(problem: Problem) -> Problem {
    problem.renamed("task", NOT_FOUND)
}
