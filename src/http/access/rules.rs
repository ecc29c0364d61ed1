//! What each route needs: one line for each. A test compares the lines with the router and with `SECURITY.md`.

use crate::access::Scope::{self, Admin, Operate, Read};

/// What a route needs of whoever asks, once there are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `None`: open to all.
    pub scope: Option<Scope>,
    /// Whether a key that is bound to an owner may use it: only where it shows that owner's orders, jobs and tasks alone.
    pub for_owners: bool,
}

/// What a route that stands in no line would need: the most there is. A test sees to it that there is none.
const CLOSED: Rule = Rule { scope: Some(Admin), for_owners: false };

/// Route, scope to look (GET and HEAD), scope to act (every other method), whether it keeps owners apart.
type Line = (&'static str, Option<Scope>, Option<Scope>, bool);

const OPEN: Option<Scope> = None;
const READ: Option<Scope> = Some(Read);
const OPERATE: Option<Scope> = Some(Operate);
const ADMIN: Option<Scope> = Some(Admin);

/// The rules. Those that are open say nothing of any order.
pub const RULES: [Line; 60] = [
    ("/", OPEN, OPEN, true),
    ("/healthz", OPEN, OPEN, true),
    ("/readyz", OPEN, OPEN, true),
    ("/docs", OPEN, OPEN, true),
    ("/docs/{file}", OPEN, OPEN, true),
    ("/openapi.json", OPEN, OPEN, true),
    ("/orders", READ, OPERATE, true),
    ("/orders/{order_id}/start", READ, OPERATE, true),
    ("/orders/{order_id}/status", READ, OPERATE, true),
    ("/orders/{order_id}/state", READ, OPERATE, true),
    ("/orders/{order_id}/history", READ, OPERATE, true),
    ("/orders/{order_id}/signals/approve", READ, OPERATE, true),
    ("/orders/{order_id}/signals/cancel", READ, OPERATE, true),
    ("/orders/{order_id}/signals/update-address", READ, OPERATE, true),
    ("/orders/{order_id}/retry", READ, OPERATE, true),
    ("/orders/{order_id}/pause", READ, OPERATE, true),
    ("/orders/{order_id}/resume", READ, OPERATE, true),
    ("/jobs", READ, OPERATE, true),
    ("/jobs/{job_id}", READ, OPERATE, true),
    ("/jobs/{job_id}/cancel", READ, OPERATE, true),
    ("/api/tasks", READ, OPERATE, true),
    ("/api/tasks/types", READ, OPERATE, true),
    ("/api/tasks/start", READ, OPERATE, true),
    ("/api/tasks/{task_id}", READ, OPERATE, true),
    ("/api/tasks/{task_id}/cancel", READ, OPERATE, true),
    ("/api/tasks/{task_id}/history", READ, OPERATE, true),
    ("/api/tasks/{task_id}/result", READ, OPERATE, true),
    ("/workflows/{id}", READ, OPERATE, true),
    ("/workflows/{id}/history", READ, OPERATE, true),
    ("/events", READ, OPERATE, true),
    ("/stats", READ, OPERATE, true),
    ("/policies", READ, OPERATE, true),
    ("/metrics", READ, OPERATE, false),
    ("/debug/actors", READ, OPERATE, false),
    ("/api/queues", READ, OPERATE, false),
    ("/api/queues/{queue}", READ, ADMIN, false),
    // What a worker gets are the inputs of everybody's activities, secrets included.
    ("/api/queues/{queue}/poll", READ, OPERATE, false),
    ("/api/activities/{token}/complete", READ, OPERATE, false),
    ("/api/activities/{token}/fail", READ, OPERATE, false),
    ("/api/activities/{token}/heartbeat", READ, OPERATE, false),
    ("/keys", ADMIN, ADMIN, false),
    ("/keys/{key_id}", ADMIN, ADMIN, false),
    ("/audit", ADMIN, ADMIN, false),
    ("/console/static/{file}", OPEN, OPEN, true),
    ("/console/sign-in", OPEN, OPEN, true),
    ("/console/sign-out", OPEN, OPEN, true),
    ("/console/live", READ, OPERATE, true),
    ("/console/boot", READ, OPERATE, true),
    ("/console/needs", READ, OPERATE, true),
    ("/console/overview", READ, OPERATE, false),
    ("/console/engine", READ, OPERATE, false),
    ("/console/work", READ, OPERATE, true),
    ("/console/work/{task_id}", READ, OPERATE, true),
    ("/console/work/{task_id}/cancel", READ, OPERATE, true),
    ("/console/queues", READ, OPERATE, false),
    ("/console/queues/{queue}", READ, ADMIN, false),
    ("/console/batch", READ, OPERATE, true),
    ("/console/batch/{batch}", READ, OPERATE, true),
    ("/console/orders/{order_id}", READ, OPERATE, true),
    ("/console/orders/{order_id}/{action}", READ, OPERATE, true),
];

/// The rule of a route; `acts`: the method is another than GET and HEAD. Looked up when the router is put together.
pub fn rule(route: &str, acts: bool) -> Rule {
    let line = RULES.iter().find(|(known, ..)| *known == route);
    line.map_or(CLOSED, |(_, look, act, for_owners)| Rule {
        scope: if acts { *act } else { *look },
        for_owners: *for_owners,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_an_administrators() {
        assert_eq!(rule("/anything/new", false), CLOSED);
        assert_eq!(rule("/healthz", false).scope, None);
        assert_eq!(rule("/api/queues/{queue}", true).scope, ADMIN);
    }

    #[test]
    fn each_route_stands_in_one_line_and_an_owner_never_administers() {
        for (index, (route, look, act, for_owners)) in RULES.iter().enumerate() {
            assert!(!RULES[..index].iter().any(|(other, ..)| other == route), "{route} stands in two lines");
            assert!(!for_owners || (*look != ADMIN && *act != ADMIN), "{route}");
        }
    }
}
