//! The jobs: start one, see it, list them, cancel one.

pub mod cancel;
pub mod list;
pub mod start;
pub(crate) mod start_request;
pub mod status;

use actix_web::HttpRequest;

use super::problem::Problem;
use super::seek::path_id;
use crate::model::WorkflowId;

const NOT_FOUND: &str = "there is no job of this id";

/// The job id of the path.
fn job_id(req: &HttpRequest) -> Result<WorkflowId, Problem> {
    path_id(req, "job_id", "invalid_job_id", "job")
}

/// A problem in the words of jobs.
fn of_jobs(problem: Problem) -> Problem {
    problem.renamed("job", NOT_FOUND)
}
