//! The HTTP face: routes, status codes, OpenAPI. Decides nothing about orders.
