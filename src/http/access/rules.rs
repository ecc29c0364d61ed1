//! What each route needs. A route that is not named here needs a key: `read` to look, `operate` to act.

use crate::access::Scope;

/// What a route needs of whoever asks, once there are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `None`: open to all.
    pub scope: Option<Scope>,
    /// Whether a key that is bound to an owner may use it: only where it shows that owner's orders alone.
    pub for_owners: bool,
}

/// Open to all: they say nothing of any order.
const OPEN: [&str; 9] = [
    "/healthz",
    "/readyz",
    "/",
    "/docs",
    "/docs/{file}",
    "/openapi.json",
    "/console/static/{file}",
    "/console/sign-in",
    "/console/sign-out",
];

/// Where not only acting, but looking, too, is an administrator's.
const ADMIN: [&str; 3] = ["/keys", "/keys/{key_id}", "/audit"];

/// Where acting is an administrator's, and looking everybody's.
const ADMIN_ACTS: [&str; 1] = ["/api/queues/{queue}"];

/// The beginnings of the routes that keep owners apart.
const FOR_OWNERS: [&str; 9] = [
    "/orders",
    "/workflows/",
    "/events",
    "/stats",
    "/policies",
    "/console/live",
    "/console/needs",
    "/console/batch",
    "/console/orders/",
];

/// The rule of a route; `acts`: the method is another than GET and HEAD.
pub fn rule(route: &str, acts: bool) -> Rule {
    if OPEN.contains(&route) {
        return Rule { scope: None, for_owners: true };
    }
    let admin = ADMIN.contains(&route) || (acts && ADMIN_ACTS.contains(&route));
    let scope = match (admin, acts) {
        (true, _) => Scope::Admin,
        (false, true) => Scope::Operate,
        (false, false) => Scope::Read,
    };
    let for_owners = !admin && (route == "/console/boot" || FOR_OWNERS.iter().any(|begin| route.starts_with(begin)));
    Rule { scope: Some(scope), for_owners }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_needs_a_key_and_is_not_for_owners() {
        let needs = |scope, for_owners| Rule { scope: Some(scope), for_owners };
        for (route, acts, expected) in [
            ("/anything/new", false, needs(Scope::Read, false)),
            ("/anything/new", true, needs(Scope::Operate, false)),
            ("/orders", false, needs(Scope::Read, true)),
            ("/orders/{order_id}/start", true, needs(Scope::Operate, true)),
            ("/metrics", false, needs(Scope::Read, false)),
            ("/console/engine", false, needs(Scope::Read, false)),
            ("/keys", false, needs(Scope::Admin, false)),
            ("/keys/{key_id}", true, needs(Scope::Admin, false)),
            ("/audit", false, needs(Scope::Admin, false)),
            ("/api/queues", false, needs(Scope::Read, false)),
            ("/api/queues/{queue}", true, needs(Scope::Admin, false)),
        ] {
            assert_eq!(rule(route, acts), expected, "{route}");
        }
        assert_eq!(rule("/healthz", false).scope, None);
    }
}
