"""What a JSON Schema cannot say of a request, said to schemathesis: without it, it would call requests valid that are not.

Each rule concerns valid requests only (`mode: positive`); what is meant to be wrong goes out as it was made. That the
server holds these rules is for the Rust tests to show (`tests/api_bad_input.rs`, `tests/hostile_http.rs`).
"""

import itertools

import schemathesis
from schemathesis.generation import GenerationMode

NUMBER = itertools.count()
# Long waits are documented and work; here they would only take their time.
WAIT_SECONDS = 0.05


@schemathesis.hook
def before_call(context, case, kwargs):
    shorten_waits(case)
    if is_valid(case):
        own_idempotency_key(case)
        no_invented_cursor(case)
        if isinstance(case.body, dict):
            fields_that_depend_on_others(case)


def is_valid(case):
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def shorten_waits(case):
    seconds = (case.query or {}).get("wait")
    if isinstance(seconds, (int, float)) and WAIT_SECONDS < seconds <= 60:
        case.query["wait"] = WAIT_SECONDS
    if isinstance(case.body, dict):
        seconds = case.body.get("wait_seconds")
        if isinstance(seconds, (int, float)) and WAIT_SECONDS < seconds <= 30:
            case.body["wait_seconds"] = WAIT_SECONDS


def own_idempotency_key(case):
    """A key that was used for another request is 422; each case gets one of its own."""
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None:
        case.headers["Idempotency-Key"] = f"{key[:200]}-{next(NUMBER)}"


def no_invented_cursor(case):
    """A cursor is opaque: only one that the server gave out, for the same sort, is valid."""
    if case.query and case.operation.path == "/orders":
        case.query.pop("cursor", None)


def fields_that_depend_on_others(case):
    body, path = case.body, case.operation.path
    if path == "/orders/{order_id}/start":
        # The order's id must equal the path's, the ids of its payment each other.
        if body.get("order_id") is not None:
            body["order_id"] = case.path_parameters["order_id"]
        names = [name for name in ("payment_id", "payment_token") if body.get(name) is not None]
        if names:
            (case.query or {}).pop("payment_id", None)
        for name in names[1:]:
            body[name] = body[names[0]]
        # Amounts have at most eight digits behind the point, which floats do not keep to; and what items cost has bounds.
        exact(body, "amount")
        for item in body.get("items") or []:
            exact(item, "unit_price")
            if item.get("unit_price") is not None and body.get("amount") is None:
                body["amount"] = "1.00"
    elif path.endswith("/signals/update-address"):
        # One of the two names, and a field that is not null.
        address = body.get("address")
        if isinstance(address, dict) and not any(value is not None for value in address.values()):
            address["city"] = "Berlin"
        if body.get("address") is not None:
            body.pop("new_address", None)
        elif body.get("new_address") is None:
            body["new_address"] = "1 Main St"
    elif path == "/keys":
        # An owner's key never administers.
        if "admin" in body["scopes"]:
            body.pop("owner", None)
    elif path.endswith("/fail"):
        # Some kinds of failure are never tried again, whoever asks for it.
        if body.get("retryable") is True:
            body["kind"] = "timeout"


def exact(fields, name):
    if isinstance(fields.get(name), float):
        fields[name] = round(fields[name] % 1_000_000, 2)
