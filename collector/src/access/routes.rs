//! The one table that says who may call which route. What is not in it is refused to everybody.

use super::Role;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the route is public, or checks something other than a bearer token itself.
    Nothing,
    /// A token of at least this role.
    Role(Role),
}

/// A method and a path, and what calling it needs.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path as the router has it, with its parameters in braces.
    pub path: &'static str,
    /// What the caller must have.
    pub needs: Needs,
}

/// Every route of the API. A new route goes here first: without a line it answers nobody.
pub const ROUTES: &[Route] = &[
    open("GET", "/api/v1/healthz"),
    open("GET", "/api/v1/openapi.json"),
    open("GET", "/api/v1/ca"),
    // The enrolment token, and the key of the last certificate, are what these ask for.
    open("POST", "/api/v1/enroll"),
    open("POST", "/api/v1/renew/challenge"),
    open("POST", "/api/v1/renew"),
    at_least(Role::Viewer, "GET", "/api/v1/search"),
    at_least(Role::Viewer, "POST", "/api/v1/search"),
    at_least(Role::Viewer, "GET", "/api/v1/tail"),
    at_least(Role::Viewer, "GET", "/api/v1/tree"),
    at_least(Role::Viewer, "GET", "/api/v1/hosts"),
    at_least(Role::Viewer, "GET", "/api/v1/hosts/{id}"),
    at_least(Role::Viewer, "GET", "/api/v1/status"),
    at_least(Role::Viewer, "GET", "/api/v1/findings"),
    at_least(Role::Viewer, "POST", "/api/v1/rules/check"),
    at_least(Role::Viewer, "POST", "/api/v1/rules/dry-run"),
    at_least(Role::Analyst, "GET", "/api/v1/quarantine"),
    at_least(Role::Analyst, "GET", "/api/v1/quarantine/{id}"),
    at_least(Role::Viewer, "POST", "/api/v1/export"),
    at_least(Role::Responder, "POST", "/api/v1/export/kafka"),
    at_least(Role::Analyst, "GET", "/api/v1/export/refused"),
    at_least(Role::Admin, "POST", "/api/v1/enroll-tokens"),
    at_least(Role::Admin, "GET", "/api/v1/tokens"),
    at_least(Role::Admin, "POST", "/api/v1/tokens"),
    at_least(Role::Admin, "DELETE", "/api/v1/tokens/{id}"),
    at_least(Role::Admin, "POST", "/api/v1/hosts/{id}/revoke"),
    at_least(Role::Admin, "POST", "/api/v1/quarantine/{id}/replay"),
    at_least(Role::Admin, "GET", "/api/v1/audit"),
    at_least(Role::Admin, "GET", "/api/v1/audit/verify"),
];

/// What calling this needs, or that nobody may.
pub fn needs(method: &str, path: &str) -> Verdict {
    // A HEAD is a GET of which only the head is sent.
    let method = if method == "HEAD" { "GET" } else { method };
    let mut known = false;
    for route in ROUTES.iter().filter(|route| route.path == path) {
        if route.method == method {
            return Verdict::Declared(route.needs);
        }
        known = true;
    }
    if known { Verdict::OtherMethod } else { Verdict::Undeclared }
}

/// What the table says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The route is known and needs this.
    Declared(Needs),
    /// The path is known, with other methods.
    OtherMethod,
    /// Nobody may call it.
    Undeclared,
}

const fn open(method: &'static str, path: &'static str) -> Route {
    Route { method, path, needs: Needs::Nothing }
}

const fn at_least(role: Role, method: &'static str, path: &'static str) -> Route {
    Route { method, path, needs: Needs::Role(role) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_declared_is_refused() {
        assert_eq!(needs("GET", "/api/v1/nothing"), Verdict::Undeclared);
        assert_eq!(needs("DELETE", "/api/v1/healthz"), Verdict::OtherMethod);
        assert_eq!(needs("HEAD", "/api/v1/healthz"), Verdict::Declared(Needs::Nothing));
    }

    #[test]
    fn no_route_is_declared_twice() {
        let mut seen = std::collections::HashSet::new();
        for route in ROUTES {
            assert!(seen.insert((route.method, route.path)), "{} {} twice", route.method, route.path);
        }
    }
}
